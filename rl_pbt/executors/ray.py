"""Workers on many machines: Ray actors, each of which has one worker process.

A job is sent to an idle actor, which sends back its answer. An actor that is lost, alone or with its machine, is replaced as soon
as there is room, and its job is run again elsewhere: an interval is a pure function. Actors end with the driver.
"""

from __future__ import annotations

import pickle
import sys
import time
from collections import deque
from functools import partial
from typing import Any, TypeAlias, TypeVar, final

from rl_pbt.errors import UserError
from rl_pbt.executors.base import Answer, Future, Pending, answered
from rl_pbt.executors.carrying import carrying, delivered
from rl_pbt.executors.interrupts import heard
from rl_pbt.executors.ray_cluster import RayOptions, cluster
from rl_pbt.executors.ray_host import Host, Place, this_place, this_process
from rl_pbt.executors.watching import NOTICE_S, TICK_S
from rl_pbt.tasks.base import Job, Task

T = TypeVar("T")
AnyPending: TypeAlias = "_Pending[Any]"  # of a job with any type of result

LOSSES = 10  # workers lost on one job, or in a row at their start, until we give up: machines on loan are often taken away
NEWS_S = 1.0  # seconds between two requests for an actor's news


@final
class _Pending(Pending[T]):
    """A submitted job, and the number of workers that were lost while running it."""

    def __init__(self, executor: RayExecutor, job: Job[T]) -> None:
        super().__init__(executor.listen)
        self.job = job
        self.losses = 0


class _Worker:
    """One actor. `reference` is Ray's reference to the result of its start or of its job; None while it is idle."""

    def __init__(self, ray: Any, actor: Any, driver: Any) -> None:
        self._ray = ray
        self.actor = actor
        self.reference: Any = actor.begin.remote(driver)
        self.begun = False
        self.job: AnyPending | None = None
        self.units = 0
        self._news: Any = None
        self._asked_s = 0.0
        self._heard = 0  # characters of its messages shown so far

    @property
    def idle(self) -> bool:
        return self.begun and self.job is None

    def give(self, pending: AnyPending, job: bytes) -> None:
        self.job = pending
        self.reference = self.actor.run.remote(job)
        self._asked_s = time.monotonic()

    def answer(self) -> Answer[Any]:
        """The answer to its start or its job. Raises RayError if the actor or the answer is lost."""
        found = self._ray.get(self.reference)
        self.reference, self._news, self.units = None, None, 0
        if self.begun:
            self._tell(found[1])
        answer: Answer[Any] = pickle.loads(found[0] if self.begun else found)
        return answer

    def listen(self) -> None:
        """Take any news of the job underway, and ask for more every NEWS_S seconds."""
        if self._news is not None and self._ray.wait([self._news], timeout=0)[0]:
            try:
                self.units, told = self._ray.get(self._news)
                self._tell(told)
            except self._ray.exceptions.RayError:
                pass  # the answer itself will raise it again
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
    """`workers` actors, each given a job whenever it is idle. All are requested at once, and start to work as they come up."""

    def __init__(self, task: Task, workers: int, options: RayOptions) -> None:
        self._driver = pickle.dumps(this_process(task, options))
        self._cluster = cluster(options, workers)
        self._ray = self._cluster.ray
        self._carries = {"ray": True, "shared": False, "auto": not self._cluster.is_this_machine}[options.ray_checkpoints]
        self._place = this_place()
        self._differences: set[str] = set()  # between machines, that the user was told of
        self._waiting: deque[AnyPending] = deque()  # for a free worker
        self._false_starts = 0  # in a row
        self._without_s = time.monotonic()  # since when no worker has been up
        self._told_without = False
        self._workers = [self._new_worker() for _ in range(workers)]

    def submit(self, job: Job[T]) -> Future[T]:
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
        """Wait briefly until a worker begins, answers or is lost, take note of each, and give out more work."""
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
        """Give a waiting job to every idle worker, as long as there are any."""
        for worker in self._workers:
            while worker.idle and self._waiting:
                pending = self._waiting.popleft()
                ready = answered(partial(self._packed, pending.job))
                if ready.error is None:
                    worker.give(pending, ready.result())
                else:
                    pending.answer = Answer(error=ready.error)

    def _packed(self, job: Job[Any]) -> bytes:
        sent: Job[Any] = carrying(job) if self._carries else job
        return pickle.dumps(sent)

    def _hear(self, worker: _Worker) -> None:
        """Take a worker's answer or, if it is lost, replace the worker and put its job back in the queue."""
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
        """Warn the user if there has been no worker for a while."""
        if any(worker.begun for worker in self._workers):
            self._without_s, self._told_without = time.monotonic(), False
        elif time.monotonic() - self._without_s >= NOTICE_S and not self._told_without:
            self._told_without = True
            print(f"warning: no worker yet: {self._cluster.room()}; still waiting", file=sys.stderr, flush=True)


def _in_short(error: Exception) -> str:
    """The first and the last line of Ray's message about a lost worker; the lines between are guesses."""
    lines = str(error).strip().splitlines()
    return " ".join(line.strip() for line in dict.fromkeys([*lines[:1], *lines[-1:]]))
