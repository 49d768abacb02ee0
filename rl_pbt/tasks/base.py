"""What a training must offer to be planned, run, judged and reported: the whole contract of a task.

A *task* is one training that can be a member of a population: an agent on an environment, a toy problem, a class or a program of
the user's. A `TaskType` says what is known of it before it exists: its options, its defaults, its words. A `Task` does the work,
as a pure function of a job. What a task counts is its *unit* (an environment frame, an update, a sentence), and everything above
this package speaks of units and takes their name from `Words`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

from rl_pbt.arrays import State
from rl_pbt.config import RunConfig
from rl_pbt.options import Settings
from rl_pbt.records import FinalTest, Proposal, Result

Advance: TypeAlias = Callable[[int], None]  # told of units as they are trained for; only for progress
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """How reports, axes, progress and TensorBoard call what a task counts and scores; nouns in the singular."""

    unit: str  # "environment frame", "update", "sentence"
    short_unit: str  # on axes and in progress lines: "frame"
    score: str  # what a higher value of is better: "return", "accuracy", "BLEU"
    episode: str  # what gives one score: "episode", "evaluation"
    baseline: str = ""  # what any training must beat: "random policy"; empty where a task has none

    @property
    def units(self) -> str:
        """More than one of them."""
        return _plural(self.unit)

    @property
    def short_units(self) -> str:
        """More than one, in short."""
        return _plural(self.short_unit)

    @property
    def episodes(self) -> str:
        """More than one of them."""
        return _plural(self.episode)


def _plural(noun: str) -> str:
    if noun.endswith("y") and not noun.endswith(("ay", "ey", "oy", "uy")):
        return f"{noun[:-1]}ies"
    return noun + ("es" if noun.endswith(("s", "x", "z", "tch", "sh")) else "s")


class Checkpoints(Protocol):
    """Where the checkpoints of one search are kept, by the id of the proposal that left them.

    It can be pickled, and its other end need not be this machine's disk.
    """

    def load(self, proposal: int) -> State:
        """Raises UserError where it is absent or damaged: never a fresh start in silence."""
        ...

    def save(self, proposal: int, state: State) -> None:
        """Durable when this returns."""
        ...

    def save_together(self, states: Mapping[int, State]) -> None:
        """Durable when this returns; for checkpoints that are small and many."""
        ...

    def keep_only(self, proposals: Iterable[int], *, being_written: Iterable[int] = ()) -> None:
        """Forget all others, but for those that jobs are writing meanwhile."""
        ...

    def leave_only(self, proposals: Iterable[int]) -> None:
        """`keep_only` at the end of a search, when nothing else is to be kept beside them."""
        ...


def unheeded(units: int) -> None:
    """No progress is shown."""


class Job(Protocol[T_co]):
    """Work for an executor, which knows nothing of it but this."""

    def run(self, task: Task, advance: Advance = unheeded) -> T_co:
        """Do it here and now."""
        ...


class Task(Protocol):
    """The work itself: a pure function of its job, apart from the checkpoints it reads and writes. It can be pickled."""

    @property
    def quantum(self) -> int:
        """The least units that a member can train for; it trains for whole multiples."""
        ...

    @property
    def free_evaluation(self) -> bool:
        """Whether judging a member again costs no units of the budget."""
        ...

    def interval(self, job: IntervalJob, advance: Advance = unheeded) -> list[Result]:
        """Results in the order of the proposals; each one's checkpoint is durable when this returns (none for a failure)."""
        ...

    def test(self, job: FinalTestJob) -> FinalTest:
        """Scores of a finished proposal on test seeds, which nothing was selected on."""
        ...

    def baseline(self, root_seed: int, episodes: int) -> FinalTest | None:
        """The floor that any training must beat, on the test seeds of `root_seed`; None where a task has none."""
        ...

    def rehearsal(self) -> Task:
        """The same training, judged as cheaply as possible: what a dry run times."""
        ...

    def winner(self, proposal: int, checkpoints: Checkpoints) -> Any:
        """What a proposal left, loaded for a person to use."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where a task will run: what may change its speed and never its results.

    `workers` is how many run side by side, on `cores`.
    """

    workers: int = 1
    cores: int = 1


class TaskType(Protocol):
    """What is known of a task before it exists. One module, with a line in `registry.TASKS`, holds one as its `TYPE`."""

    @property
    def options(self) -> type:
        """A frozen dataclass of what is particular to this task; its fields are made with `options.option`."""
        ...

    @property
    def aliases(self) -> Mapping[str, str]:
        """Other names of fields that people of this task's field use, as `frames` for `budget`."""
        ...

    def complete(self, given: Settings, recorded: Settings | None) -> Settings:
        """Every field of `RunConfig` and of `options` that this task has a value for, flat.

        `given` is what the user set, by field name, over the `recorded` settings of a run that is resumed or, for a new run,
        over defaults. Names are resolved to exact ones, and `search` and `hypers` are whole. Raises UserError for what cannot be.
        """
        ...

    def words(self, options: Settings) -> Words:
        """Its nouns. Reads nothing but the plain options of a run: no code of the user's is loaded for a report."""
        ...

    def title(self, options: Settings) -> str:
        """What is trained, for headings: "a2c on CartPole-v1"."""
        ...

    def folder(self, options: Settings) -> str:
        """The folder that its runs are put in if none is named: "CartPole-v1"."""
        ...

    def judging(self, options: Settings) -> str:
        """How fitness is made, to follow "Fitness is": "the mean return of 8 evaluation episodes, ..."."""
        ...

    def make(self, config: RunConfig, machine: Machine) -> Task:
        """The task of a configuration. Raises UserError."""
        ...

    def describe(self, config: RunConfig, task: Task) -> list[tuple[str, str]]:
        """(label, text) lines of the dry run: what is trained, and how it is judged."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalJob:
    """A group of proposals trained together. `lineage_units` is the age of each proposal's parent, 0 without one."""

    proposals: tuple[Proposal, ...]
    lineage_units: tuple[int, ...]
    root_seed: int
    checkpoints: Checkpoints

    def run(self, task: Task, advance: Advance = unheeded) -> list[Result]:
        return task.interval(self, advance)


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalTestJob:
    """Judge the checkpoint of a finished proposal in some of the test episodes, which are numbered from 0."""

    proposal: int
    episodes: Sequence[int]
    root_seed: int
    checkpoints: Checkpoints

    def run(self, task: Task, advance: Advance = unheeded) -> FinalTest:
        return task.test(self)
