"""What an executor promises."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, cast, final

from rl_pbt.errors import BadSetting, UserError
from rl_pbt.options import option
from rl_pbt.tasks.base import Job

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Future(Protocol[T_co]):
    """The future result of a submitted job."""

    @property
    def done(self) -> bool:
        """Whether `result` would wait for nobody else."""
        ...

    def result(self) -> T_co:
        """Wait for the end of the job, and return its result; call it once.

        Raises UserError for what the user can fix; anything else that the job raised, as TaskError if it ran in another process;
        and KeyboardInterrupt for a signal that arrived meanwhile.
        """
        ...


Steps: TypeAlias = Generator[Future[Any], None, T]  # work that yields each future before it waits for it, and returns a T


class Executor(Protocol):
    """Runs jobs somewhere, each at least once, with the same outcome wherever and however often it runs.

    Waiting for results in the order of submission makes a run independent of the workers' speed. New work can be submitted while
    other work is underway. A job that ends its worker, or never ends, is run once more, and then without the proposal that was at
    work: see `attempts`.
    """

    @property
    def units_underway(self) -> int:
        """Units trained so far by all members in intervals that have not ended; may be read from another thread."""
        ...

    def submit(self, job: Job[T]) -> Future[T]:
        """Run the job as soon as a worker is free."""
        ...

    def listen(self) -> None:
        """Wait briefly for news of any job. Raises KeyboardInterrupt for a signal that arrived meanwhile."""
        ...

    def close(self) -> None:
        """End the workers; jobs that have not ended are dropped."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorOptions:
    """Options that every executor has, none of which changes a result. An executor with more options extends this dataclass."""

    timeout: float | None = option(
        None,
        help="seconds without a sign of life after which a member is given up on (default: 600; your own training: never)",
        metavar="SECONDS",
    )

    def __post_init__(self) -> None:
        if self.timeout is not None and not self.timeout > 0:
            raise BadSetting("timeout", f"must be above 0, but is {self.timeout:g}")


class TaskError(RuntimeError):
    """The task raised something that the user cannot fix; the message is the traceback of the worker."""


@final
@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """How a job ended: with a return value, or with an error to raise where the job is waited for."""

    value: T | None = None
    error: Exception | None = None

    def result(self) -> T:
        """The value that the job returned. Raises its error, if it has one."""
        if self.error is not None:
            raise self.error
        return cast("T", self.value)  # None only if the job returned None


class Pending(Generic[T]):
    """A submitted job and, once it has ended, its answer. `listen` waits briefly for news of any job."""

    def __init__(self, listen: Callable[[], None]) -> None:
        self._listen = listen
        self.answer: Answer[T] | None = None

    @property
    def done(self) -> bool:
        """As in `Future`."""
        return self.answer is not None

    def result(self) -> T:
        """As in `Future`."""
        while self.answer is None:
            self._listen()
        return self.answer.result()


def answered(work: Callable[[], T]) -> Answer[T]:
    """Do the work, and wrap its return value or exception for the place that waits for it.

    Exceptions that end a process, such as SystemExit and KeyboardInterrupt, propagate.
    """
    try:
        return Answer(value=work())
    except (UserError, TaskError) as error:
        return Answer(error=error)
    except Exception:
        return Answer(error=TaskError(traceback.format_exc()))


def run_all(executor: Executor, jobs: Sequence[Job[T]]) -> list[T]:
    """Submit all jobs at once, and return their results in the same order."""
    futures = [executor.submit(job) for job in jobs]
    return [future.result() for future in futures]
