"""Jobs whose checkpoints travel with them, for workers that cannot see the driver's disk.

The checkpoints that a job loads are read before it is sent. Those that it saves come back with its return value, and are written
before anybody learns that it has ended: no result is recorded whose checkpoint is not durable in the run's folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar, final

import numpy as np

from rl_pbt.arrays import State
from rl_pbt.errors import LostCheckpoint
from rl_pbt.tasks.base import Advance, Job, Task, unheeded
from rl_pbt.tasks.checkpoints import Checkpoints

T = TypeVar("T")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A recorded call of `save`, or of `save_together`."""

    states: Mapping[int, State]
    together: bool

    def again(self, checkpoints: Checkpoints) -> None:
        """Repeat the call on these checkpoints; durable when this returns."""
        if self.together:
            checkpoints.save_together(self.states)
            return
        for proposal, state in self.states.items():
            checkpoints.save(proposal, state)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Exhibited:
    """A recorded call of `exhibit`."""

    proposal: int
    arrays: State

    def again(self, checkpoints: Checkpoints) -> None:
        """Repeat the call on these checkpoints; durable when this returns."""
        checkpoints.exhibit(self.proposal, self.arrays)


@final
class Carried:
    """`Checkpoints` in memory: those that came with a job, and those that it saved. Arrays are always copied, never shared."""

    def __init__(self, states: Mapping[int, State]) -> None:
        self._states = dict(states)
        self.saved: list[Saved | Exhibited] = []

    def load(self, proposal: int) -> State:
        if proposal not in self._states:
            raise LostCheckpoint(proposal, f"the checkpoint of proposal {proposal} did not come with the job")
        return _copied(self._states[proposal])

    def save(self, proposal: int, state: State) -> None:
        self._keep({proposal: state}, together=False)

    def save_together(self, states: Mapping[int, State]) -> None:
        self._keep(states, together=True)

    def _keep(self, states: Mapping[int, State], *, together: bool) -> None:
        copies = {proposal: _copied(state) for proposal, state in states.items()}
        self._states |= copies
        self.saved.append(Saved(states=copies, together=together))

    def exhibit(self, proposal: int, arrays: State) -> None:
        self.saved.append(Exhibited(proposal=proposal, arrays=_copied(arrays)))

    def keep_only(self, proposals: Iterable[int], *, being_written: Iterable[int] = ()) -> None:
        raise NotImplementedError("a job forgets nothing")

    def leave_only(self, proposals: Iterable[int]) -> None:
        raise NotImplementedError("a job forgets nothing")


def _copied(state: State) -> State:
    """Copies, since a task may go on training in the arrays that it saved or loaded."""
    return {name: np.array(array, order="C") for name, array in state.items()}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery(Generic[T]):
    """What a job returned, and what it saved or exhibited, in that order."""

    value: T
    saved: tuple[Saved | Exhibited, ...] = ()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Carrying(Generic[T]):
    """A job together with the checkpoints that it loads."""

    job: Job[T]
    states: Mapping[int, State]

    @property
    def checkpoints(self) -> None:
        return None  # it has all that the job loads, and returns what the job saves

    @property
    def loads(self) -> frozenset[int]:
        return frozenset()

    def stored_in(self, checkpoints: Checkpoints) -> Carrying[T]:
        return self

    def run(self, task: Task, advance: Advance = unheeded) -> Delivery[T]:
        carried = Carried(self.states)
        value = self.job.stored_in(carried).run(task, advance)
        return Delivery(value=value, saved=tuple(carried.saved))

    def whose(self, proposal: int | None) -> str:
        return self.job.whose(proposal)

    def giving_up(self, proposal: int | None, reason: str) -> Carrying[T]:
        return replace(self, job=self.job.giving_up(proposal, reason))


def carrying(job: Job[T]) -> Carrying[T]:
    """The job, ready to be sent. Raises LostCheckpoint if a checkpoint that it loads is lost."""
    checkpoints = job.checkpoints
    return Carrying(job=job, states={} if checkpoints is None else {id_: checkpoints.load(id_) for id_ in job.loads})


def delivered(job: Job[T], delivery: Delivery[T]) -> T:
    """The return value of a job that was sent by `carrying`; the checkpoints that it saved are durable when this returns."""
    if job.checkpoints is not None:
        for one in delivery.saved:
            one.again(job.checkpoints)
    return delivery.value
