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
    """Runs jobs somewhere. Outcomes come in the order of the jobs, whatever order they end in."""

    @property
    def frames_underway(self) -> int:
        """Frames trained for in intervals that have not ended, by all their members; read by another thread."""
        ...

    def intervals(self, jobs: Sequence[IntervalJob]) -> Iterator[list[Result]]: ...

    def tests(self, jobs: Sequence[TestJob]) -> Iterator[Test]: ...

    def close(self) -> None: ...
