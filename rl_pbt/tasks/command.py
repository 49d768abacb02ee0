"""Any program as a training: it is called once per interval with a request in JSON, and answers in JSON.

The last argument, and the environment variable RL_PBT_REQUEST, is the path of the request:

    {"version": 1, "purpose": "train", "hypers": {"lr": 0.01}, "budget": 1000, "seed": 7, "evaluation_seeds": [8],
     "parent": "/tmp/.../parent", "checkpoint": "/tmp/.../checkpoint", "answer": "/tmp/.../answer.json"}

The program loads the files in `parent` (null: it begins from scratch), trains for `budget` units with these hyperparameters and
with random numbers from `seed`, leaves files in the folder `checkpoint`, evaluates itself once for each of `evaluation_seeds`,
and writes the `answer`:

    {"scores": [0.93], "metrics": {"loss": 0.2}, "updates": 1000}

`metrics`, for the learning curves, and `updates` may be left out. So may `scores` if there are no evaluation seeds, since no
score is needed then. For the purposes "evaluate" and "test" the budget is 0: the program evaluates the parent, and leaves no
files. The folders are deleted when it ends; its files are kept inside our own checkpoints.
"""

from __future__ import annotations

import json
import os
import shlex
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import final

import numpy as np

from rl_pbt.config import RunConfig
from rl_pbt.errors import BadSetting, UserError
from rl_pbt.options import Settings, at_least_one, built, option
from rl_pbt.records import FinalTest, Hyper, Result
from rl_pbt.tasks import process_group
from rl_pbt.tasks.answers import LONGEST_REASON, Failed, metrics_of, scores_of
from rl_pbt.tasks.base import Advance, FinalTestJob, IntervalJob, Machine, Task, TaskType, unheeded
from rl_pbt.tasks.checkpoints import Checkpoints
from rl_pbt.tasks.files import read_folder, write_folder
from rl_pbt.tasks.looping import (
    Done,
    Kept,
    Turn,
    checkpoint_of,
    completed_with_search,
    evaluation_of,
    kept,
    one_by_one,
    tested,
    words_for,
)
from rl_pbt.tasks.words import Words

REQUEST_VARIABLE = "RL_PBT_REQUEST"
LAST_LINES = 5  # of a program's output, which the reason of its failure quotes


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CommandOptions:
    """The program, how members are evaluated, and the words of its field. Raises BadSetting for invalid values."""

    program: tuple[str, ...] = option(help="the program and its arguments; the request is added", flag=False, given=True)
    evaluations: int = option(
        1, help="evaluations of a member after an interval, on seeds shared by its generation", trains=False
    )
    unit: str = option(
        "update",
        help="what the budget counts, in the singular: update, epoch, sentence",
        metavar="WORD",
        trains=False,
        of_scores=True,
    )
    score: str = option(
        "score", help="what an evaluation returns, higher is better: accuracy, BLEU", metavar="WORD", trains=False, of_scores=True
    )
    timeout_s: float | None = option(
        None,
        help="seconds after which an interval of a program counts as failed, or none",
        metavar="SECONDS",
        trains=False,
    )

    def __post_init__(self) -> None:
        at_least_one(self, "evaluations")
        if not self.program or not self.program[0]:
            raise BadSetting("program", "is missing: say which program trains, as in python train.py")
        if self.timeout_s is not None and not self.timeout_s > 0:
            raise BadSetting("timeout_s", f"must be above 0, but is {self.timeout_s:g}")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What a program left: its files, by their path in the checkpoint folder, and its hyperparameters at that time."""

    files: dict[str, bytes]
    hypers: dict[str, Hyper]

    def write_to(self, folder: str | Path) -> None:
        """Write the files into a folder, which is created if needed. Raises UserError for names that lead out of it."""
        write_folder(self.files, Path(folder))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CommandTask:
    """Calls a program in the folder `cwd` for one member after another. `hypers` are the values of those that are not searched.

    A member fails if the program ends with a status other than 0, by a signal or by the timeout (in seconds), or gives no valid
    answer. The reason quotes the last lines that it printed, which are not shown otherwise. Evaluation is free: the budget counts
    training.
    """

    program: tuple[str, ...]
    cwd: str
    hypers: Mapping[str, Hyper] = field(default_factory=dict)
    evaluations: int = 1
    timeout_s: float | None = None
    quantum: int = 1

    free_evaluation = True

    @property
    def subject(self) -> str:
        """The program."""
        return f"program {shlex.join(self.program)}"

    @property
    def patience_s(self) -> None:
        """None: `timeout_s` is for a program that hangs, and ends the program without ending the worker too."""
        return None

    def interval(self, job: IntervalJob, advance: Advance = unheeded) -> list[Result]:
        """One member after another; a member that fails has a reason, and no checkpoint."""
        return one_by_one(job, self._work, held=self.hypers, evaluations=self.evaluations, quantum=self.quantum, advance=advance)

    def test(self, job: FinalTestJob, advance: Advance = unheeded) -> FinalTest:
        """Scores for the purpose "test"; excluded if the program fails."""
        return tested(job, self._work, advance)

    def baseline(self, root_seed: int, episodes: int, advance: Advance = unheeded) -> FinalTest | None:
        """None: a program has no baseline."""
        return None

    def rehearsal(self) -> CommandTask:
        """The same with one evaluation of each member."""
        return replace(self, evaluations=1)

    def winner(self, proposal: int, checkpoints: Checkpoints) -> Left:
        """The files that a proposal left. Raises UserError for a checkpoint of another task."""
        left = kept(checkpoints, proposal)
        return Left(files=_files(left), hypers=left.hypers)

    def _work(self, turn: Turn) -> Done:
        with tempfile.TemporaryDirectory(prefix="rl_pbt-", ignore_cleanup_errors=True) as scratch:
            folder = Path(scratch).resolve()
            try:
                _write_request(turn, folder)
            except OSError as error:
                raise UserError(f"cannot write in {folder} ({error.strerror}): free space, or set TMPDIR") from error
            ended = self._run(folder)
            try:
                if ended.how:
                    raise Failed(f"the program {ended.how}")
                return _answer(turn, folder)
            except Failed as failed:
                raise Failed(_reason(str(failed), ended, folder)) from None

    def _run(self, folder: Path) -> process_group.Ended:
        request = str(folder / "request.json")
        try:
            return process_group.run(
                [*self.program, request],
                cwd=self.cwd,
                env={**os.environ, REQUEST_VARIABLE: request},
                timeout_s=self.timeout_s,
                scratch=folder,
            )
        except OSError as error:
            raise Failed(f"the program {self.program[0]} could not be started: {error.strerror}") from error


def _files(left: Kept) -> dict[str, bytes]:
    """A program's files from a checkpoint, by path. Raises UserError for a checkpoint of another task."""
    if not isinstance(left.state, dict) or not all(isinstance(array, np.ndarray) for array in left.state.values()):
        raise UserError("this checkpoint does not hold the files of a program: it is of another task")
    return {name: array.tobytes() for name, array in left.state.items()}


def _write_request(turn: Turn, folder: Path) -> None:
    """Write the request, and create the folders that it names."""
    parent = None
    if turn.parent is not None:
        parent = folder / "parent"
        write_folder(_files(turn.parent), parent)
    checkpoint = folder / "checkpoint"
    checkpoint.mkdir()
    request = {
        "version": 1,
        "purpose": turn.purpose,
        "hypers": turn.hypers,
        "budget": turn.units,
        "seed": turn.seed,
        "evaluation_seeds": list(turn.evaluation_seeds),
        "parent": parent and str(parent),
        "checkpoint": str(checkpoint),
        "answer": str(folder / "answer.json"),
    }
    (folder / "request.json").write_text(json.dumps(request, indent=2) + "\n")


def _answer(turn: Turn, folder: Path) -> Done:
    """What the program answered, and the files that it left. Raises Failed if it is not valid."""
    path = folder / "answer.json"
    if not path.is_file():
        raise Failed("the program wrote no answer")
    try:
        answer = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise Failed(f"the program's answer is not JSON ({error})") from None
    if not isinstance(answer, dict) or ("scores" not in answer and turn.evaluation_seeds):
        raise Failed('the program\'s answer is not a JSON object with "scores"')
    scores = answer.get("scores", [])
    updates = answer.get("updates", turn.units)
    if type(updates) is not int or updates < 0:
        raise Failed('"updates" in the program\'s answer must be a whole number')
    return Done(
        scores=() if scores == [] and not turn.evaluation_seeds else scores_of(scores, "the program"),
        updates=updates,
        metrics=metrics_of(answer.get("metrics"), "the program"),
        checkpoint=checkpoint_of(turn, read_folder(folder / "checkpoint")) if turn.units else None,
    )


def _reason(failure: str, ended: process_group.Ended, folder: Path) -> str:
    """The failure with the last lines that were printed; the scratch folder's name is cut, so that no ledger depends on it."""
    lines = ended.last_lines(LAST_LINES, LONGEST_REASON, nameless=folder)
    return f"{failure}: {lines}" if lines else failure


@final
class CommandType(TaskType):
    """`tasks.base.TaskType` of any program."""

    options = CommandOptions

    def complete(self, given: Settings, recorded: Settings | None) -> Settings:
        """`program` may be given as one text, which is split as a shell does."""
        program = given.get("program")
        return completed_with_search({**given, "program": shlex.split(program)} if isinstance(program, str) else given, recorded)

    def words(self, options: Settings) -> Words:
        """The nouns that the user chose."""
        return words_for(options)

    def code(self, options: Settings) -> Mapping[str, tuple[str, ...]]:
        """The program."""
        return {"program": tuple(options["program"])}

    def title(self, options: Settings) -> str:
        """The program, as it is typed in a shell."""
        return shlex.join(options["program"])

    def folder(self, options: Settings) -> str:
        """The name of the script without its extension."""
        return Path(process_group.script_of(options["program"])).stem or "command"

    def evaluation(self, options: Settings) -> str:
        """How many evaluations, and what they cost."""
        return evaluation_of(options)

    def not_exported(self, options: Settings) -> str:
        """There is no policy."""
        return "what a program learned is in its own files: rl_pbt.load(RUN).winner().write_to(FOLDER) writes them"

    def make(self, config: RunConfig, machine: Machine) -> CommandTask:
        """Raises UserError if the program is not found here."""
        options = built(CommandOptions, config.task_options)
        process_group.check_program(options.program)
        return CommandTask(
            program=options.program,
            cwd=os.getcwd(),
            hypers=dict(config.hypers),
            evaluations=options.evaluations,
            timeout_s=options.timeout_s,
        )

    def describe(self, config: RunConfig, task: Task) -> list[tuple[str, str]]:
        """What is trained, and how it is evaluated."""
        return [("task", f"the program {self.title(config.task_options)}"), ("evaluated on", evaluation_of(config.task_options))]


TYPE = CommandType()
