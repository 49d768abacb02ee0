"""Everything in this process, each job when somebody waits for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar, final

from rl_pbt.executors.base import Outcome
from rl_pbt.executors.interrupts import heard
from rl_pbt.tasks.base import Job, Task

T = TypeVar("T")


@final
class InlineExecutor:
    """The simplest executor: no other process, nothing to clean up."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.units_underway = 0

    def advance(self, units: int) -> None:
        """Told by the job that runs."""
        self.units_underway += units

    def submit(self, job: Job[T]) -> Outcome[T]:
        return _Deferred(self, job)

    def close(self) -> None:
        """Nothing is held."""


@final
@dataclass(frozen=True, slots=True)
class _Deferred(Generic[T]):
    """A job that runs when it is waited for, which is where a signal may stop it."""

    executor: InlineExecutor
    job: Job[T]

    def wait(self) -> T:
        try:
            with heard():
                return self.job.run(self.executor.task, self.executor.advance)
        finally:
            self.executor.units_underway = 0
