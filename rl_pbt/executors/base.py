"""What an executor promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from rl_pbt.tasks.base import Job

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Outcome(Protocol[T_co]):
    """What a submitted job will have returned."""

    def wait(self) -> T_co:
        """Wait for the end of the job; to be called once.

        Raises UserError for what the user can put right, and KeyboardInterrupt for a signal that came meanwhile.
        """
        ...


class Executor(Protocol):
    """Runs jobs somewhere, each at least once and with the same outcome wherever and however often.

    Waiting for outcomes in the order of submission makes a run independent of the workers' speed. New work can be submitted while
    old work is underway.
    """

    @property
    def units_underway(self) -> int:
        """Units trained for in intervals that have not ended, by all their members; read by another thread."""
        ...

    def submit(self, job: Job[T]) -> Outcome[T]:
        """Run it as soon as there is room."""
        ...

    def close(self) -> None:
        """Let go of workers; what has not ended is dropped."""
        ...


def run_all(executor: Executor, jobs: Sequence[Job[T]]) -> list[T]:
    """The outcomes of all of them, submitted at once, in their order."""
    outcomes = [executor.submit(job) for job in jobs]
    return [outcome.wait() for outcome in outcomes]
