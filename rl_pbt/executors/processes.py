"""Worker processes on this machine. A worker that dies is replaced, and its job is run again: an interval is a pure function.

On Linux, workers are forked from a server process that has imported what they need and done nothing else; a fresh interpreter
would take seconds to import torch. On other systems, whose libraries do not survive a fork, workers are fresh interpreters.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import threading
import traceback
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ctypes import c_longlong
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, TypeAlias, TypeVar, final

from rl_pbt.errors import UserError
from rl_pbt.executors import descendants
from rl_pbt.executors.attempts import Attempts, Death, death_by, death_of
from rl_pbt.executors.base import Answer, ExecutorOptions, Future, Pending, TaskError, answered
from rl_pbt.executors.interrupts import heard
from rl_pbt.executors.memory import keep_freed_memory
from rl_pbt.executors.watching import FIELDS, TICK_S, Board, Watch, watch
from rl_pbt.tasks.base import Job, Task

T = TypeVar("T")
AnyPending: TypeAlias = "_Pending[Any]"  # of a job with any type of result

LONGEST_SOCKET_FOLDER = 60  # characters; a socket's path may have about a hundred
NO_GUARD = 'worker processes import this script, which then begins a run again: put the call under `if __name__ == "__main__":`'
WORKER = "rl_pbt worker"  # the name of each process
UNGUARDED = 72  # exit status of a worker whose script, imported by it, asks for another run
NO_OPTIONS = ExecutorOptions()
if sys.platform == "linux":
    _CONTEXT = multiprocessing.get_context("forkserver")
else:
    _CONTEXT = multiprocessing.get_context("spawn")


def _leave_with_parent(mark: str) -> None:
    """End this worker when its parent is gone: an orphan would keep writing into a folder that a resumed run owns."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()  # this is the run's process, not the server that workers are forked from: that one lives as long as they do
    descendants.end(os.getpid(), mark)
    os._exit(1)


@contextmanager
def _children_deaf_to_interrupts() -> Iterator[None]:
    """Within, SIGINT is blocked for child processes that start: Ctrl-C reaches them too, but only the parent should handle it."""
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # otherwise it starts with the first child, and then unblocks signals
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _short_paths_of_sockets() -> Iterator[None]:
    """Within, temporary folders have paths short enough for a socket in them; the server remembers its own path."""
    before = tempfile.tempdir
    if len(tempfile.gettempdir()) > LONGEST_SOCKET_FOLDER:
        tempfile.tempdir = "/tmp"
    try:
        yield
    finally:
        tempfile.tempdir = before


def end_if_unguarded() -> None:
    """End this process if it is a worker that still imports the script of its parent: to begin a run then is a mistake there.

    Python's own error would be a traceback of every worker. So a worker of ours says nothing, and the parent one line; the parent
    of any other process does not know what happened, so that process says it.
    """
    process = multiprocessing.current_process()
    if getattr(process, "_inheriting", False):  # as multiprocessing itself finds it out
        if process.name != WORKER:
            print(f"error: {NO_GUARD}", file=sys.stderr, flush=True)
        os._exit(UNGUARDED)


def prepare(module: str) -> None:
    """Start importing `module` in the server process, in the background, for workers that start later.

    Does nothing the second time, nor on systems other than Linux.
    """
    if sys.platform == "linux":
        _CONTEXT.set_forkserver_preload([module])
        with _children_deaf_to_interrupts(), _short_paths_of_sockets():
            forkserver.ensure_running()


def _serve(connection: Connection, numbers: Any, mark: str) -> None:
    """What a worker process does until it is closed: answer one job after another."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The run's process ends daemons when it exits, so workers are daemons to it. But daemons may not have children, and what is
    # trained may need some, as vector environments and data loaders do; `descendants` ends those.
    multiprocessing.current_process().daemon = False
    descendants.begin(mark)
    keep_freed_memory()
    # If a child of this worker inherited the pipe, the parent would not see it close when the worker dies.
    os.set_inheritable(connection.fileno(), False)
    threading.Thread(target=_leave_with_parent, args=(mark,), daemon=True).start()
    board = Board(numbers)
    with suppress(EOFError, OSError):  # closed, or the parent is gone
        while True:
            connection.send_bytes(_attempt(connection, board))
    descendants.end(os.getpid(), mark)  # a parent that is gone cannot do it


def _run(task_and_job: bytes, board: Board) -> Any:
    task, job = pickle.loads(task_and_job)
    return job.run(task, board.advance)


def _attempt(connection: Connection, board: Board) -> bytes:
    """The answer to the next job, or its death, pickled; a value that cannot be pickled becomes a TaskError."""
    job_in_bytes = connection.recv_bytes()
    answer: Answer[Any] | Death
    try:
        answer = answered(lambda: _run(job_in_bytes, board))
        return pickle.dumps(answer)
    except Exception:
        answer = Answer(error=TaskError(traceback.format_exc()))
    except BaseException as error:  # SystemExit, and what event loops raise: no reason to end this process
        answer = death_by(error, board.proposal)
    return pickle.dumps(answer)


@final
class _Pending(Pending[T]):
    """A submitted job, as it is to be tried next."""

    def __init__(self, executor: ProcessExecutor, attempts: Attempts[T]) -> None:
        super().__init__(executor.listen)
        self.attempts = attempts


class _Worker:
    """One process, and the job that it is working on."""

    def __init__(self, task: Task, timeout: float | None) -> None:
        self._task = task
        self._timeout = timeout
        self._mark = descendants.new_mark()
        self.connection, theirs = _CONTEXT.Pipe()
        numbers = _CONTEXT.RawArray(c_longlong, FIELDS)  # no lock: there is one writer at a time
        self.board = Board(numbers)
        self.process = _CONTEXT.Process(target=_serve, args=(theirs, numbers, self._mark), name=WORKER, daemon=True)
        with _children_deaf_to_interrupts(), _short_paths_of_sockets():
            self.process.start()
        theirs.close()
        self.job: AnyPending | None = None
        self.watch: Watch | None = None

    def give(self, pending: AnyPending) -> None:
        self.board.clear()
        self.job = pending
        where = f"worker process {self.process.pid}"
        self.watch = watch(self._task, pending.attempts.job, self.board, where, self._timeout)
        with suppress(OSError):  # it died while idle: `listen` will notice, and give the job to its replacement
            self.connection.send_bytes(pickle.dumps((self._task, pending.attempts.job)))

    def answer(self) -> Answer[Any] | Death:
        """The worker's answer or, if it ended without one, its death."""
        try:
            found: Answer[Any] | Death = pickle.loads(self.connection.recv_bytes())
        except (EOFError, OSError):
            self.process.join()
            found = self._end()
        self.board.clear()
        return found

    def _end(self) -> Answer[Any] | Death:
        """What became of a process that has ended without an answer."""
        if self.process.exitcode == UNGUARDED:
            return Answer(error=UserError(NO_GUARD))
        return death_of(self.process.exitcode, self.board.proposal)

    def stop(self) -> None:
        self.connection.close()
        assert self.process.pid is not None
        descendants.end(self.process.pid, self._mark)
        self.process.kill()  # in case it does not have its process group yet
        self.process.join()


@final
class ProcessExecutor:
    """Up to `workers` processes, started when first needed, and kept."""

    def __init__(self, task: Task, workers: int, options: ExecutorOptions = NO_OPTIONS) -> None:
        prepare(type(task).__module__)
        self._task = task
        self._size = workers
        self._options = options
        self._workers: list[_Worker] = []
        self._waiting: deque[AnyPending] = deque()  # for a free worker

    def submit(self, job: Job[T]) -> Future[T]:
        pending = _Pending(self, Attempts(job, self._task.subject))
        self._waiting.append(pending)
        if len(self._workers) < self._size and all(worker.job is not None for worker in self._workers):
            self._workers.append(self._new_worker())
        self._give()
        return pending

    def close(self) -> None:
        for worker in self._workers:
            worker.stop()
        self._workers = []

    @property
    def units_underway(self) -> int:
        return sum(worker.board.units for worker in self._workers)

    def _new_worker(self) -> _Worker:
        return _Worker(self._task, self._options.timeout)

    def _give(self) -> None:
        """Give a waiting job to every idle worker, as long as there are any."""
        for worker in self._workers:
            if worker.job is None and self._waiting:
                worker.give(self._waiting.popleft())

    def listen(self) -> None:
        """Wait briefly until a worker answers or dies; take note of that and of silent workers, and give out more work."""
        busy = [worker for worker in self._workers if worker.job is not None]
        with heard():
            ready = set(wait([worker.connection for worker in busy] + [worker.process.sentinel for worker in busy], TICK_S))
        for worker in busy:
            assert worker.watch is not None
            if worker.connection in ready or worker.process.sentinel in ready:
                self._hear(worker, worker.answer())
            elif (death := worker.watch.look()) is not None:
                self._hear(worker, death)
        self._give()

    def _hear(self, worker: _Worker, answer: Answer[Any] | Death) -> None:
        """Take a worker's answer or, if the attempt failed, replace the worker and decide how to go on with the job."""
        pending, worker.job = worker.job, None
        assert pending is not None
        if isinstance(answer, Answer):
            pending.answer = answer
            return
        worker.stop()
        self._workers[self._workers.index(worker)] = self._new_worker()
        try:
            pending.attempts.failed(answer)
        except UserError as error:
            pending.answer = Answer(error=error)
        else:
            self._waiting.appendleft(pending)
