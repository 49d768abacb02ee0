"""What an executor runs, and what it promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from rl_pbt.records import Proposal, Result, Test
from rl_pbt.store import Checkpoints


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalJob:
    """A group of proposals trained together. `lineage_frames` is the age of each proposal's parent, 0 without one."""

    proposals: tuple[Proposal, ...]
    lineage_frames: tuple[int, ...]
    root_seed: int
    checkpoints: Checkpoints


@dataclass(frozen=True, slots=True, kw_only=True)
class TestJob:
    """Play the checkpoint of a finished proposal in some of the test episodes, which are numbered from 0."""

    id: int
    episodes: Sequence[int]
    root_seed: int
    checkpoints: Checkpoints

    __test__ = False


Advance: TypeAlias = Callable[[int], None]  # told of frames as they are trained for; only for the eyes


def unheeded(frames: int) -> None:
    """Nobody watches."""


class Task(Protocol):
    """The work itself: a pure function of its job, apart from the checkpoints it reads and writes. It can be pickled."""

    def interval(self, job: IntervalJob, advance: Advance = unheeded) -> list[Result]:
        """Results in the order of the proposals; each one's checkpoint is durable when this returns (none for a failure)."""
        ...

    def test(self, job: TestJob) -> Test: ...


class Executor(Protocol):
    """Runs jobs somewhere. Outcomes come in the order in which jobs were submitted, whatever order they end in.

    So what is decided from them hangs on nobody's speed, and new work can be submitted while old work goes on.
    """

    @property
    def frames_underway(self) -> int:
        """Frames trained for in intervals that have not ended, by all their members; read by another thread."""
        ...

    def submit(self, job: IntervalJob | TestJob) -> None:
        """Run it as soon as there is room."""
        ...

    def collect(self) -> list[Result] | Test:
        """Wait for the outcome of the job that was submitted first of those not yet collected."""
        ...

    def close(self) -> None: ...


def run_intervals(executor: Executor, jobs: Sequence[IntervalJob]) -> Iterator[list[Result]]:
    """All of them, submitted at once."""
    for job in jobs:
        executor.submit(job)
    for _ in jobs:
        results = executor.collect()
        assert isinstance(results, list)
        yield results


def run_tests(executor: Executor, jobs: Sequence[TestJob]) -> Iterator[Test]:
    """All of them, submitted at once."""
    for job in jobs:
        executor.submit(job)
    for _ in jobs:
        test = executor.collect()
        assert isinstance(test, Test)
        yield test
