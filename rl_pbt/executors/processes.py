"""Worker processes on this machine. A worker that dies is replaced and its job run again: an interval is a pure function.

On Linux workers are forked from a server that has imported what they need and has done nothing else; a fresh interpreter
would take seconds to import torch. Elsewhere system libraries do not bear a fork, and workers are such interpreters.
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
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, final

from rl_pbt.executors.base import Advance, IntervalJob, Task, TestJob
from rl_pbt.executors.interrupts import heard
from rl_pbt.records import Result, Test, UserError

ATTEMPTS = 3
if sys.platform == "linux":
    _CONTEXT = multiprocessing.get_context("forkserver")
else:
    _CONTEXT = multiprocessing.get_context("spawn")


class TaskError(RuntimeError):
    """The task raised something that is not the user's to mend; carries the worker's traceback."""


def _leave_with_parent() -> None:
    """End this worker when the parent is gone: an orphan would go on writing into a folder that a resumed run owns."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()  # not the server, from which workers are forked: it lives as long as they do
    _kill_group(os.getpid())
    os._exit(1)


def _kill_group(worker: int) -> None:
    """The worker and the processes that its environments started, as ViZDoom's engines, which nobody else would end."""
    if sys.platform != "win32":
        with suppress(ProcessLookupError):
            os.killpg(worker, signal.SIGKILL)


@contextmanager
def _children_deaf_to_interrupts() -> Iterator[None]:
    """A Ctrl-C at the terminal reaches the children too, from their first instruction; it is the parent's to handle."""
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # else it is started with the first child, and unblocks signals when it has
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


def _serve(task: Task, connection: Connection, frames: Any) -> None:
    def advance(more: int) -> None:
        frames.value += more

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        os.setpgid(0, 0)
    # Were it open in a process that an environment started, nobody would be told of this worker's death.
    os.set_inheritable(connection.fileno(), False)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        connection.send(_attempt(task, job, advance))


def _attempt(task: Task, job: IntervalJob | TestJob, advance: Advance) -> tuple[str, Any]:
    try:
        return "done", task.test(job) if isinstance(job, TestJob) else task.interval(job, advance)
    except UserError as error:
        return "user error", str(error)
    except Exception:
        return "error", traceback.format_exc()


class _Worker:
    """One process and what it is working on."""

    def __init__(self, task: Task) -> None:
        self.connection, theirs = _CONTEXT.Pipe()
        self.frames: Any = _CONTEXT.RawValue("q", 0)  # trained for in its job; no lock, since it has one writer at a time
        self.process = _CONTEXT.Process(target=_serve, args=(task, theirs, self.frames), daemon=True)
        with _children_deaf_to_interrupts():
            self.process.start()
        theirs.close()
        self.job: int | None = None

    def give(self, index: int, job: IntervalJob | TestJob) -> None:
        self.job = index
        with suppress(OSError):  # it died while idle: the sentinel says so, and the job is given to its replacement
            self.connection.send(job)

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
        # By the number of their submission: jobs that wait for a worker, all that are not collected, and what came of some.
        self._waiting: deque[int] = deque()
        self._jobs: dict[int, IntervalJob | TestJob] = {}
        self._attempts: dict[int, int] = {}
        self._outcomes: dict[int, list[Result] | Test] = {}
        self._submitted = 0
        self._collected = 0

    def submit(self, job: IntervalJob | TestJob) -> None:
        self._jobs[self._submitted] = job
        self._attempts[self._submitted] = 0
        self._waiting.append(self._submitted)
        self._submitted += 1
        if len(self._workers) < min(self._size, len(self._jobs)):
            self._workers.append(_Worker(self._task))
        self._give()

    def collect(self) -> list[Result] | Test:
        number = self._collected
        while number not in self._outcomes:
            self._listen()
            self._give()
        self._collected += 1
        del self._jobs[number], self._attempts[number]
        return self._outcomes.pop(number)

    def close(self) -> None:
        for worker in self._workers:
            worker.stop()
        self._workers = []

    @property
    def frames_underway(self) -> int:
        return sum(worker.frames.value for worker in self._workers)

    @property
    def pids(self) -> list[int]:
        """The live workers' process ids."""
        return [worker.process.pid or 0 for worker in self._workers]

    def _give(self) -> None:
        """Work to every idle worker, while there is some."""
        for worker in self._workers:
            if worker.job is None and self._waiting:
                number = self._waiting.popleft()
                self._attempts[number] += 1
                worker.give(number, self._jobs[number])

    def _listen(self) -> None:
        """Wait until a worker answers or dies, and take note of each that did."""
        busy = [worker for worker in self._workers if worker.job is not None]
        with heard():
            ready = set(wait([worker.connection for worker in busy] + [worker.process.sentinel for worker in busy]))
        for worker in busy:
            if worker.connection not in ready and worker.process.sentinel not in ready:
                continue
            number, worker.job = worker.job, None
            worker.frames.value = 0
            assert number is not None
            try:
                self._outcomes[number] = _unpack(worker.connection.recv())
            except (EOFError, OSError):
                if self._attempts[number] == ATTEMPTS:
                    raise UserError(
                        f"a worker process died {ATTEMPTS} times on the same job (out of memory?): resume with fewer --workers"
                    ) from None
                self._waiting.appendleft(number)
                worker.stop()
                self._workers[self._workers.index(worker)] = _Worker(self._task)


def _unpack(answer: tuple[str, Any]) -> Any:
    kind, content = answer
    if kind == "user error":
        raise UserError(content)
    if kind == "error":
        raise TaskError(content)
    return content
