"""What an executor promises."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, cast, final

from rl_pbt.errors import BadSetting, UserError
from rl_pbt.options import option
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
    old work is underway. A job that ends its worker, or that never comes to an end, is run once more, and then without the
    proposal that was at work: see `attempts`.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorOptions:
    """What can be said of any executor, which changes no result; one with more options has a dataclass that extends this one."""

    timeout: float | None = option(
        None, help="seconds without a sign of life after which a member is given up (default: 600; your own training: never)"
    )

    def __post_init__(self) -> None:
        if self.timeout is not None and not self.timeout > 0:
            raise BadSetting("timeout", f"must be above 0, but is {self.timeout:g}")


class TaskError(RuntimeError):
    """The task raised something that the user cannot put right; carries the traceback of where it was."""


@final
@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """How a job came to its end: with what it returned, or with an error to raise where it is waited for."""

    value: T | None = None
    error: Exception | None = None

    def result(self) -> T:
        """What it returned. Raises its error."""
        if self.error is not None:
            raise self.error
        return cast("T", self.value)  # None only where the job returned that


class Pending(Generic[T]):
    """A submitted job and, once it has ended, its answer. `listen` waits a moment for news of any job."""

    def __init__(self, listen: Callable[[], None]) -> None:
        self._listen = listen
        self.answer: Answer[T] | None = None

    def wait(self) -> T:
        """As `Outcome`."""
        while self.answer is None:
            self._listen()
        return self.answer.result()


def answered(work: Callable[[], T]) -> Answer[T]:
    """The answer of work that is done elsewhere than where it is waited for; what ends a process passes."""
    try:
        return Answer(value=work())
    except (UserError, TaskError) as error:
        return Answer(error=error)
    except Exception:
        return Answer(error=TaskError(traceback.format_exc()))


def run_all(executor: Executor, jobs: Sequence[Job[T]]) -> list[T]:
    """The outcomes of all of them, submitted at once, in their order."""
    outcomes = [executor.submit(job) for job in jobs]
    return [outcome.wait() for outcome in outcomes]
