"""Runs everything in this process, each job when it is waited for."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Generic, NoReturn, TypeVar, final

from rl_pbt.executors.attempts import NOBODY, Attempts, Death, death_by
from rl_pbt.executors.base import ExecutorOptions, Future
from rl_pbt.executors.interrupts import heard
from rl_pbt.executors.watching import TICK_S, Board, Watch, watch
from rl_pbt.tasks.base import Job, Task

T = TypeVar("T")
NO_OPTIONS = ExecutorOptions()


@final
class InlineExecutor:
    """The simplest executor: no other processes, nothing to clean up.

    A crash of native code ends the run, which can be resumed.
    """

    def __init__(self, task: Task, options: ExecutorOptions = NO_OPTIONS) -> None:
        self.task = task
        self.options = options
        self.board = Board([0, 0, NOBODY])

    @property
    def units_underway(self) -> int:
        return self.board.units

    def submit(self, job: Job[T]) -> Future[T]:
        return _Deferred(self, job)

    def listen(self) -> None:
        """There is nobody else to hear from."""

    def close(self) -> None:
        """There is nothing to close."""


class _Ended(KeyboardInterrupt):
    """An attempt is over. A KeyboardInterrupt, so that no task catches it."""

    def __init__(self, death: Death) -> None:
        super().__init__(death.reason)
        self.death = death


@final
@dataclass(frozen=True, slots=True)
class _Deferred(Generic[T]):
    """A job that runs when it is waited for; only there may a signal stop it."""

    executor: InlineExecutor
    job: Job[T]
    done = True  # nobody else runs it

    def result(self) -> T:
        attempts = Attempts(self.job, self.executor.task.subject)
        while True:
            try:
                return self._attempt(attempts.job)
            except _Ended as ended:
                attempts.failed(ended.death)

    def _attempt(self, job: Job[T]) -> T:
        """Run the job. Raises _Ended for anything that would have ended a worker process."""
        task, board = self.executor.task, self.executor.board
        where = f"this process ({os.getpid()})"
        try:
            with heard(), _watched(watch(task, job, board, where, self.executor.options.timeout)), _no_exit(board):
                return job.run(task, board.advance)
        except (Exception, KeyboardInterrupt):
            raise
        except BaseException as error:  # SystemExit, and what event loops raise
            raise _Ended(death_by(error, board.proposal)) from error
        finally:
            board.clear()


@contextmanager
def _watched(watch: Watch) -> Iterator[None]:
    """Within, check regularly for signs of life; a hang in native code goes unnoticed.

    Works only in the main thread, and not on Windows; elsewhere it does nothing.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def look(signum: int, frame: FrameType | None) -> None:
        if (death := watch.look()) is not None:
            raise _Ended(death)

    before = signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, TICK_S, TICK_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _no_exit(board: Board) -> Iterator[None]:
    """Within, `os._exit` called by an environment does not end this process; in forked children it works as usual."""
    really, here = os._exit, os.getpid()

    def exit_(status: int) -> NoReturn:
        if os.getpid() != here:
            really(status)
        raise _Ended(Death(f"ended with status {status}", board.proposal))

    os._exit = exit_
    try:
        yield
    finally:
        os._exit = really
