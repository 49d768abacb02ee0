"""Worker processes on this machine. A worker that dies is replaced and its job run again: an interval is a pure function.

On Linux workers are forked from a server that has imported what they need and has done nothing else; a fresh interpreter
would take seconds to import torch. Elsewhere system libraries do not survive a fork, and workers are fresh interpreters.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ctypes import c_longlong
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, Literal, TypeAlias, TypeVar, final

from rl_pbt.errors import UserError
from rl_pbt.executors.base import Outcome
from rl_pbt.executors.interrupts import heard
from rl_pbt.tasks.base import Advance, Job, Task

T = TypeVar("T")
Answer: TypeAlias = tuple[Literal["done"], T] | tuple[Literal["user error", "error"], str]
AnyPending: TypeAlias = "_Pending[Any]"  # one of jobs with different outcomes

ATTEMPTS = 3
if sys.platform == "linux":
    _CONTEXT = multiprocessing.get_context("forkserver")
else:
    _CONTEXT = multiprocessing.get_context("spawn")


class TaskError(RuntimeError):
    """The task raised something that the user cannot put right; carries the worker's traceback."""


def _leave_with_parent() -> None:
    """End this worker when the parent is gone: an orphan would keep writing into a folder that a resumed run owns."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()  # not the server, from which workers are forked: it lives as long as they do
    _kill_group(os.getpid())
    os._exit(1)


def _kill_group(worker: int) -> None:
    """The worker and the processes that its environments started, such as ViZDoom's engines, which nothing else would end."""
    if sys.platform != "win32":
        with suppress(ProcessLookupError):
            os.killpg(worker, signal.SIGKILL)


@contextmanager
def _children_deaf_to_interrupts() -> Iterator[None]:
    """A Ctrl-C at the terminal reaches the children too, from their first instruction; it is the parent's to handle."""
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # otherwise it is started with the first child, and unblocks signals when it has
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def prepare(module: str) -> None:
    """Let the server import `module` meanwhile; workers that are started later have it. Does nothing the second time."""
    if sys.platform == "linux":
        _CONTEXT.set_forkserver_preload([module])
        with _children_deaf_to_interrupts():
            forkserver.ensure_running()


def _serve(task: Task, connection: Connection, units: c_longlong) -> None:
    def advance(more: int) -> None:
        units.value += more

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        os.setpgid(0, 0)
    # If a child of this worker inherited the pipe, the parent would never see its end when the worker dies.
    os.set_inheritable(connection.fileno(), False)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        connection.send(_attempt(task, job, advance))


def _attempt(task: Task, job: Job[T], advance: Advance) -> Answer[T]:
    try:
        return "done", job.run(task, advance)
    except UserError as error:
        return "user error", str(error)
    except Exception:
        return "error", traceback.format_exc()


@final
class _Pending(Generic[T]):
    """A submitted job and, once it has ended, the answer of its worker."""

    def __init__(self, executor: ProcessExecutor, job: Job[T]) -> None:
        self._executor = executor
        self.job = job
        self.attempts = 0
        self.answer: Answer[T] | None = None

    def wait(self) -> T:
        while self.answer is None:
            self._executor.listen()
        if self.answer[0] == "done":
            return self.answer[1]
        kind, message = self.answer
        raise UserError(message) if kind == "user error" else TaskError(message)


class _Worker:
    """One process and what it is working on."""

    def __init__(self, task: Task) -> None:
        self.connection, theirs = _CONTEXT.Pipe()
        self.units = _CONTEXT.RawValue(c_longlong, 0)  # trained for in its job; no lock, since it has one writer at a time
        self.process = _CONTEXT.Process(target=_serve, args=(task, theirs, self.units), daemon=True)
        with _children_deaf_to_interrupts():
            self.process.start()
        theirs.close()
        self.job: AnyPending | None = None

    def give(self, pending: AnyPending) -> None:
        self.job = pending
        pending.attempts += 1
        with suppress(OSError):  # it died while idle: the sentinel says so, and the job is given to its replacement
            self.connection.send(pending.job)

    def stop(self) -> None:
        self.connection.close()
        assert self.process.pid is not None
        _kill_group(self.process.pid)
        self.process.kill()  # where it had not come so far as to have a group
        self.process.join()


@final
class ProcessExecutor:
    """`workers` processes, started when first needed and kept."""

    def __init__(self, task: Task, workers: int) -> None:
        prepare(type(task).__module__)
        self._task = task
        self._size = workers
        self._workers: list[_Worker] = []
        self._waiting: deque[AnyPending] = deque()  # for a worker

    def submit(self, job: Job[T]) -> Outcome[T]:
        pending = _Pending(self, job)
        self._waiting.append(pending)
        if len(self._workers) < self._size and all(worker.job is not None for worker in self._workers):
            self._workers.append(_Worker(self._task))
        self._give()
        return pending

    def close(self) -> None:
        for worker in self._workers:
            worker.stop()
        self._workers = []

    @property
    def units_underway(self) -> int:
        return sum(worker.units.value for worker in self._workers)

    @property
    def pids(self) -> list[int]:
        """The live workers' process ids."""
        return [worker.process.pid or 0 for worker in self._workers]

    def _give(self) -> None:
        """Work to every idle worker, while there is some."""
        for worker in self._workers:
            if worker.job is None and self._waiting:
                worker.give(self._waiting.popleft())

    def listen(self) -> None:
        """Wait until a worker answers or dies, take note of each that did, and give out more work."""
        busy = [worker for worker in self._workers if worker.job is not None]
        with heard():
            ready = set(wait([worker.connection for worker in busy] + [worker.process.sentinel for worker in busy]))
        for worker in busy:
            if worker.connection in ready or worker.process.sentinel in ready:
                self._hear(worker)
        self._give()

    def _hear(self, worker: _Worker) -> None:
        """The answer of a worker or, where it died, its job again for the next one."""
        pending, worker.job = worker.job, None
        assert pending is not None
        worker.units.value = 0
        try:
            pending.answer = worker.connection.recv()
        except (EOFError, OSError):
            worker.stop()
            self._workers[self._workers.index(worker)] = _Worker(self._task)
            if pending.attempts < ATTEMPTS:
                self._waiting.appendleft(pending)
            else:
                complaint = f"a worker process died {ATTEMPTS} times on the same job (out of memory?): resume with fewer workers"
                pending.answer = "user error", complaint
