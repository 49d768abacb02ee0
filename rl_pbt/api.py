"""The Python API: `tune` your own training, `bench` agents on an environment, `load` an existing run.

The command line is a thin layer over the same functions.
"""

from __future__ import annotations

import io
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, final

from rl_pbt.config import RunConfig
from rl_pbt.errors import UserError
from rl_pbt.executors.processes import end_if_unguarded
from rl_pbt.making import check_recorded, configure, for_executor, machine, make_task
from rl_pbt.named_code import check_code
from rl_pbt.opening import check_files, open_run
from rl_pbt.options import Settings
from rl_pbt.recorded import check_export, check_kept, chosen_winner, manifest_of
from rl_pbt.records import JSON, Hyper
from rl_pbt.report import Summary, summarise, write_report
from rl_pbt.running import complete, owning, prepare
from rl_pbt.store.descent import line_of_descent
from rl_pbt.store.files import write_durably
from rl_pbt.store.history import History, read_history
from rl_pbt.store.manifest import Manifest
from rl_pbt.store.run import RunFolder
from rl_pbt.tasks import own
from rl_pbt.tasks.base import Task
from rl_pbt.tasks.checkpoints import Sealed
from rl_pbt.tasks.finding import Trainable
from rl_pbt.tasks.registry import task_type
from rl_pbt.text import shown

Row: TypeAlias = dict[str, JSON]
Folder: TypeAlias = str | Path


@final
class Run:
    """One run, finished or not. `folder` holds its manifest, ledgers and report."""

    def __init__(
        self, folder: Folder, task: type[Trainable] | None = None, *, env: str | None = None, files: Settings | None = None
    ) -> None:
        self._run = RunFolder(Path(folder).absolute())
        self._task = task
        self._env = env
        self._files = files or {}
        check_files(self._files, self.config)

    @property
    def folder(self) -> Path:
        return self._run.folder

    @property
    def manifest(self) -> Manifest:
        """Command, configuration, versions, hardware, status."""
        return manifest_of(self._run)

    @property
    def config(self) -> RunConfig:
        """The configuration, with every setting named."""
        return self.manifest.config

    @property
    def summary(self) -> Summary:
        """Everything in the report, as typed records; its `to_json` gives the content of summary.json."""
        return summarise(self._run)

    @property
    def verdict(self) -> str:
        """The conclusion in words, about the primary contrast or, without one, the reference against the first of the others."""
        return self.summary.comparison.verdict

    def winner(self, method: str | None = None, seed: int | None = None) -> Any:
        """Load the winner of a method on a seed: an agent with `act(observation)`, or an object of your own class.

        An agent's actions are chosen as in its test; with `deterministic` True they are the likeliest, with False they are drawn.
        Without a method or a seed, the winner with the best test score. Raises UserError if there is no winner, or if loading it
        needs code of yours that was not passed to `load`: a run never imports code by itself.
        """
        method, seed, proposal = self.chosen(method, seed)
        config = self.config
        check_kept(self._run, method, seed, proposal)
        self._check_code(config)
        check_recorded(config)
        here = configure(self._files, config) if self._files else config
        task = _maker(self._task)(here, 1)
        digest = read_history(self._run, method, seed).by_id[proposal].result.digest
        return task.winner(proposal, Sealed(self._run.checkpoints(method, seed), {proposal: digest}))

    def _check_code(self, config: RunConfig) -> None:
        """Raises UserError if code of the user's is imported to load a winner, and was not passed to `load`."""
        code = task_type(config.task).code(config.task_options)
        if "task" in code and self._task is None:
            (target,) = code["task"]
            raise UserError(f"this run trained {target}: give its class, as in rl_pbt.load(folder, task=MyTraining)")
        if "env" in code:
            check_code({"env": self._env}, config, self._run)

    def export(self, path: Folder, method: str | None = None, seed: int | None = None) -> Path:
        """Write a winner's deterministic policy (its most likely actions) to a file that needs no rl_pbt: .onnx, .pt or .pt2.

        Without a method or a seed, the winner with the best test score. Returns `path`. Raises UserError if there is no winner or
        if it has no such policy.
        """
        path = Path(path)
        check_export(self.config, path)
        method, seed, _ = self.chosen(method, seed)
        told = {"run": self.folder.name, "method": method, "seed": str(seed)}
        write_durably(path, self.winner(method, seed).exported(path.suffix, told))
        return path

    def chosen(self, method: str | None = None, seed: int | None = None) -> tuple[str, int, int]:
        """Method, seed and proposal of the winner with the best mean test score, among those of the given method and seed.

        Raises UserError for an unknown method or seed, and if there is no winner yet.
        """
        return chosen_winner(self._run, self.config, method, seed)

    def schedule(self, method: str | None = None, seed: int | None = None) -> list[Row]:
        """The hyperparameters along the winner's line of descent, founder first, one row per interval.

        A row has the units trained in the interval (`units`), the training age at its end (`lineage_units`), the member, the
        fitness, the score (the fitness, or the mean return of training episodes where the member was not evaluated), and each
        hyperparameter. Raises UserError if there is no winner.
        """
        method, seed, proposal = self.chosen(method, seed)
        history = read_history(self._run, method, seed)
        return [_row(history, method, seed, ancestor) for ancestor in line_of_descent(history, proposal)]

    def rows(self) -> list[Row]:
        """One plain record per interval of each member, over all methods and seeds: the rows of a table or a data frame."""
        return list(self._rows())

    def _rows(self) -> Iterator[Row]:
        config = self.config
        for method in config.methods:
            for seed in config.seeds:
                history = read_history(self._run, method, seed)
                for trial in history.trials:
                    yield _row(history, method, seed, trial.proposal.id)

    def report(self) -> Path:
        """Write summary.json, summary.md, report.html and the plots. Returns the path of summary.md."""
        write_report(self._run)
        return self.folder / "summary.md"

    def __repr__(self) -> str:
        return f"rl_pbt.load({str(self.folder)!r})"


def _row(history: History, method: str, seed: int, proposal: int) -> Row:
    trial = history.by_id[proposal]
    asked, result = trial.proposal, trial.result
    return {
        "method": method,
        "seed": seed,
        "proposal": asked.id,
        "member": asked.member,
        "generation": asked.generation,
        "parent": asked.parent,
        "units": asked.units,
        "lineage_units": result.lineage_units,
        "fitness": result.fitness,
        "score": result.score,
        "failure": result.failure,
        **result.cost.to_json(),
        **asked.hypers,
    }


def tune(
    task: type[Trainable] | str,
    search: Mapping[str, Hyper],
    *,
    budget: int | None = None,
    out: Folder | None = None,
    resume: Folder | None = None,
    workers: int | None = None,
    executor: str | None = None,
    keep_population: bool = False,
    track: str | None = None,
    quiet: bool = False,
    **settings: object,
) -> Run:
    """Search the hyperparameters of your own training while it trains, with PBT and its baselines on the same budget.

    `task` is a class like `Trainable`, "module:Class", or the name of a task, such as "quadratic"; docs/options.md names them.
    `search` gives each hyperparameter a range ("log:1e-5:1e-1", "linear:0:1", "int:1:8", "choice:adam:sgd", "horizon:0.9:0.999")
    or holds it at a value. `budget` is how much each member may spend, evaluation included, and `interval` how much it trains
    between two chances to copy, both in your own units.
    Other `settings`: `methods`, `primary` ("pbt:random") and `against` (what is compared), `population`, `seeds`,
    `test_episodes`, `group_size`, `evaluations`, `unit` and `score` (words for reports), and the options of the methods.
    `workers`, `executor` ("inline", "processes", "ray") and the executor's options, such as `timeout`, never change a result; nor
    does `track` ("wandb", "mlflow"), a service that the curves are sent to. A `quiet` run prints nothing.
    `resume` continues the run in that folder. With a larger `budget` it also continues a finished run, whose checkpoints must be
    recomputed unless `keep_population` kept every member's last one.
    Raises UserError, with a one-line message, for invalid settings.
    """
    given = {"search": search, **settings} | ({} if budget is None else {"budget": budget})
    where = _Where(
        out=out, resume=resume, workers=workers, executor=executor, keep_population=keep_population, track=track, quiet=quiet
    )
    if isinstance(task, str):
        return _run({"task": task, **given}, where)
    return _run({"task": "own", "target": task, **given}, where, task)


def bench(
    env: str | None = None,
    *,
    out: Folder | None = None,
    resume: Folder | None = None,
    workers: int | None = None,
    executor: str | None = None,
    keep_population: bool = False,
    track: str | None = None,
    quiet: bool = False,
    **settings: object,
) -> Run:
    """Compare PBT with its baselines on a Gymnasium environment, with the options of the command line as keywords.

    `bench("Pacman", population=8, frames=200_000, seeds=range(6), agent="impala")`. A script calls it, and `tune`, under
    `if __name__ == "__main__":`, because worker processes import the script. Raises UserError, with a one-line message, for
    invalid settings.
    """
    where = _Where(
        out=out, resume=resume, workers=workers, executor=executor, keep_population=keep_population, track=track, quiet=quiet
    )
    return _run(settings if env is None else {"env": env, **settings}, where)


def load(folder: Folder, task: type[Trainable] | None = None, *, env: str | None = None, **files: object) -> Run:
    """Open an existing run from its folder.

    To load a winner later, a run of your own training needs its class as `task`, and a run on an environment from a module
    ("module:Id") needs that name as `env`: a run folder may come from somebody else, so it imports no code by itself.
    `files` are the new locations of a run's files if they were moved: `data` and `classifier` of a GAN, `corpus` of a
    translation, `table` of a table. Raises UserError if the folder is not a run.
    """
    return Run(folder, task, env=env, files=_plain(files))


def _maker(trainable: type[Trainable] | None) -> Callable[[RunConfig, int], Task]:
    """The function that makes the task of a run; no module is imported if the caller passes the class itself."""
    if trainable is None:
        return make_task
    return lambda config, workers: own.make(config, machine(workers), target=trainable)


def _path(folder: Folder | None) -> Path | None:
    return None if folder is None else Path(folder)


def _script() -> str:
    """How this process was started, for the manifest; without folders of this machine, as far as they are not needed."""
    if not sys.argv[0]:
        return "python, interactively"
    spec = getattr(sys.modules["__main__"], "__spec__", None)  # of a module that was run by `python -m`
    what = [shown(Path(sys.argv[0]))] if spec is None else ["-m", spec.name.removesuffix(".__main__")]
    return shlex.join(["python", *what, *sys.argv[1:]])


def _plain(settings: Settings) -> Settings:
    """The settings with any iterable that is not text, a mapping or a class, such as a range of seeds, turned into a list."""
    return {
        name: list(value) if isinstance(value, Iterable) and not isinstance(value, str | Mapping | type) else value
        for name, value in settings.items()
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Where:
    """Where and how to run; none of it changes a result."""

    out: Folder | None
    resume: Folder | None
    workers: int | None
    executor: str | None
    keep_population: bool
    track: str | None
    quiet: bool


def _run(given: Settings, where: _Where, task: type[Trainable] | None = None) -> Run:
    """Begin or continue a run, and write its report."""
    end_if_unguarded()
    env = given.get("env")
    given, how = for_executor(given)
    opened = open_run(_plain(given), out=_path(where.out), resume=_path(where.resume))
    if opened.finished:
        write_report(opened.folder)
        return Run(opened.folder.folder, task, env=env)
    prepared = prepare(
        opened,
        where.workers,
        where.executor,
        how=how,
        keep_population=where.keep_population,
        track=where.track,
        make=_maker(task),
    )
    with owning(prepared) as owned:
        complete(owned, command=_script(), stream=io.StringIO() if where.quiet else sys.stdout)
    return Run(owned.opened.folder.folder, task, env=env)
