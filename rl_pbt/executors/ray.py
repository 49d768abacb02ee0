"""Workers on many machines: actors of Ray, each of which has one worker process.

A job goes to an actor that has nothing to do, and its answer comes back. An actor that is lost, with its machine or without, is
replaced as soon as there is room, and its job is run again elsewhere: an interval is a pure function. Actors end with the driver.
"""

from __future__ import annotations

import pickle
import sys
import time
from collections import deque
from functools import partial
from typing import Any, TypeAlias, TypeVar, final

from rl_pbt.errors import UserError
from rl_pbt.executors.base import Answer, Outcome, Pending, answered
from rl_pbt.executors.carrying import carrying, delivered
from rl_pbt.executors.interrupts import heard
from rl_pbt.executors.ray_cluster import RayOptions, cluster
from rl_pbt.executors.ray_host import Host, Place, this_place, this_process
from rl_pbt.executors.watching import NOTICE_S, TICK_S
from rl_pbt.tasks.base import Job, Task

T = TypeVar("T")
AnyPending: TypeAlias = "_Pending[Any]"  # one of jobs with different outcomes

LOSSES = 10  # of workers, with the same job, or in a row before one could begin: machines that are lent are taken away often
NEWS_S = 1.0  # between two looks at what an actor is doing


@final
class _Pending(Pending[T]):
    """A submitted job, and how many workers were lost with it."""

    def __init__(self, executor: RayExecutor, job: Job[T]) -> None:
        super().__init__(executor.listen)
        self.job = job
        self.losses = 0


class _Worker:
    """One actor. `reference` is Ray's, to the end of what it does, which is to begin, or a job; None while it does nothing."""

    def __init__(self, ray: Any, actor: Any, driver: Any) -> None:
        self._ray = ray
        self.actor = actor
        self.reference: Any = actor.begin.remote(driver)
        self.begun = False
        self.job: AnyPending | None = None
        self.units = 0
        self._news: Any = None
        self._asked_s = 0.0
        self._heard = 0  # characters of what it had to tell

    @property
    def idle(self) -> bool:
        return self.begun and self.job is None

    def give(self, pending: AnyPending, job: bytes) -> None:
        self.job = pending
        self.reference = self.actor.run.remote(job)
        self._asked_s = time.monotonic()

    def answer(self) -> Answer[Any]:
        """What it has come to. Raises RayError where it, or its answer, is lost."""
        found = self._ray.get(self.reference)
        self.reference, self._news, self.units = None, None, 0
        if self.begun:
            self._tell(found[1])
        answer: Answer[Any] = pickle.loads(found[0] if self.begun else found)
        return answer

    def listen(self) -> None:
        """Take what news there are of the job that is underway, and ask for more now and then."""
        if self._news is not None and self._ray.wait([self._news], timeout=0)[0]:
            try:
                self.units, told = self._ray.get(self._news)
                self._tell(told)
            except self._ray.exceptions.RayError:
                pass  # the answer itself will say so
            self._news = None
        if self._news is None and time.monotonic() - self._asked_s >= NEWS_S:
            self._news, self._asked_s = self.actor.news.remote(), time.monotonic()

    def _tell(self, told: str) -> None:
        sys.stderr.write(told[self._heard :])
        sys.stderr.flush()
        self._heard = len(told)

    def stop(self) -> None:
        self._ray.kill(self.actor)


@final
class RayExecutor:
    """So many actors, each of them given a job when it has none; they are asked for at once, and work as they come."""

    def __init__(self, task: Task, workers: int, options: RayOptions) -> None:
        self._driver = pickle.dumps(this_process(task, options))
        self._cluster = cluster(options, workers)
        self._ray = self._cluster.ray
        self._carries = {"ray": True, "shared": False, "auto": not self._cluster.is_this_machine}[options.ray_checkpoints]
        self._place = this_place()
        self._differences: set[str] = set()  # of places, that were told
        self._waiting: deque[AnyPending] = deque()  # for a worker
        self._false_starts = 0  # in a row
        self._without_s = time.monotonic()  # since when there is no worker that has begun
        self._told_without = False
        self._workers = [self._new_worker() for _ in range(workers)]

    def submit(self, job: Job[T]) -> Outcome[T]:
        pending = _Pending(self, job)
        self._waiting.append(pending)
        self._give()
        return pending

    def close(self) -> None:
        try:
            for worker in self._workers:
                worker.stop()
        finally:
            self._workers = []
            self._cluster.close()

    @property
    def units_underway(self) -> int:
        return sum(worker.units for worker in self._workers)

    def listen(self) -> None:
        """Wait a moment until a worker begins, answers or is lost, take note of each, and give out more work."""
        busy = {worker.reference: worker for worker in self._workers if worker.reference is not None}
        with heard():
            self._ray.wait(list(busy), timeout=TICK_S)
        for reference in self._ray.wait(list(busy), num_returns=len(busy), timeout=0)[0]:
            self._hear(busy[reference])
        for worker in self._workers:
            if worker.job is not None:
                worker.listen()
        self._give()
        self._look_for_workers()

    def _new_worker(self) -> _Worker:
        return _Worker(self._ray, self._cluster.actor(Host), self._driver)

    def _give(self) -> None:
        """Work to every idle worker, while there is some."""
        for worker in self._workers:
            while worker.idle and self._waiting:
                pending = self._waiting.popleft()
                ready = answered(partial(self._packed, pending.job))
                if ready.error is None:
                    worker.give(pending, ready.result())
                else:
                    pending.answer = Answer(error=ready.error)

    def _packed(self, job: Job[Any]) -> bytes:
        return pickle.dumps(carrying(job) if self._carries else job)

    def _hear(self, worker: _Worker) -> None:
        """Take a worker's answer or, where it is lost, replace it and let its job wait again."""
        try:
            with heard():
                answer = worker.answer()
        except self._ray.exceptions.RayError as error:
            self._lose(worker, _in_short(error))
            return
        pending, worker.job = worker.job, None
        if pending is None:
            self._begin(worker, answer.result())
        elif self._carries and answer.error is None:
            pending.answer = answered(lambda: delivered(pending.job, answer.result()))
        else:
            pending.answer = answer

    def _begin(self, worker: _Worker, place: Place) -> None:
        worker.begun = True
        self._false_starts = 0
        differences = place.differences(self._place)
        if differences and not self._differences.issuperset(differences):
            self._differences.update(differences)
            print(f"warning: {place.host} has {'; '.join(differences)}: last digits may differ", file=sys.stderr, flush=True)

    def _lose(self, worker: _Worker, reason: str) -> None:
        worker.stop()
        self._workers[self._workers.index(worker)] = self._new_worker()
        if worker.job is None:
            self._false_starts += 1
            if self._false_starts >= LOSSES:
                raise UserError(f"{LOSSES} workers in a row could not begin on the Ray cluster, the last one so: {reason}")
            return
        worker.job.losses += 1
        if worker.job.losses >= LOSSES:
            lost = f"the same job lost its worker {LOSSES} times, the last time so: {reason}: resume when the cluster is stable"
            worker.job.answer = Answer(error=UserError(lost))
        else:
            self._waiting.appendleft(worker.job)

    def _look_for_workers(self) -> None:
        """Tell a person where there has been no worker for a while."""
        if any(worker.begun for worker in self._workers):
            self._without_s, self._told_without = time.monotonic(), False
        elif time.monotonic() - self._without_s >= NOTICE_S and not self._told_without:
            self._told_without = True
            print(f"warning: no worker yet: {self._cluster.room()}; still waiting", file=sys.stderr, flush=True)


def _in_short(error: Exception) -> str:
    """What Ray says first, and last, of a worker that is lost; in between it guesses."""
    lines = str(error).strip().splitlines()
    return " ".join(line.strip() for line in dict.fromkeys([*lines[:1], *lines[-1:]]))
