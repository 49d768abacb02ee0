"""Everything in this process, one job after another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import final

from rl_pbt.executors.base import IntervalJob, Task, TestJob
from rl_pbt.executors.interrupts import heard
from rl_pbt.records import Result, Test


@final
class InlineExecutor:
    """The simplest executor: no other process, nothing to clean up."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._frames_underway = 0

    @property
    def frames_underway(self) -> int:
        return self._frames_underway

    def _advance(self, frames: int) -> None:
        self._frames_underway += frames

    def intervals(self, jobs: Sequence[IntervalJob]) -> Iterator[list[Result]]:
        for job in jobs:
            with heard():
                results = self._task.interval(job, self._advance)
            self._frames_underway = 0
            yield results

    def tests(self, jobs: Sequence[TestJob]) -> Iterator[Test]:
        for job in jobs:
            with heard():
                test = self._task.test(job)
            yield test

    def close(self) -> None:
        """Nothing is held."""
