"""Everything in this process, one job after another."""

from __future__ import annotations

from collections import deque
from typing import final

from rl_pbt.executors.base import IntervalJob, Task, TestJob
from rl_pbt.executors.interrupts import heard
from rl_pbt.records import Result, Test


@final
class InlineExecutor:
    """The simplest executor: no other process, nothing to clean up."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._jobs: deque[IntervalJob | TestJob] = deque()
        self._frames_underway = 0

    @property
    def frames_underway(self) -> int:
        return self._frames_underway

    def _advance(self, frames: int) -> None:
        self._frames_underway += frames

    def submit(self, job: IntervalJob | TestJob) -> None:
        self._jobs.append(job)

    def collect(self) -> list[Result] | Test:
        job = self._jobs.popleft()
        with heard():
            outcome = self._task.test(job) if isinstance(job, TestJob) else self._task.interval(job, self._advance)
        self._frames_underway = 0
        return outcome

    def close(self) -> None:
        """Nothing is held."""
