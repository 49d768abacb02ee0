"""Copies of an environment that are stepped part by part, each part by a vector environment that can fail without the others."""

from __future__ import annotations

import atexit
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import final

import numpy as np

from rl_pbt.arrays import Array
from rl_pbt.envs import EnvironmentUnavailable, EnvSpec, Resumes, begin_step, close_quietly, make_vector
from rl_pbt.envs.aliases import Vector, VectorStep
from rl_pbt.errors import UserError
from rl_pbt.tasks.on_environments.failing import EnvironmentFailed, failure_of
from rl_pbt.tasks.rl.copies import Copies, Moved

# Environments of this process that wait to be used again by others of their kind: making Atari's takes as long as a hundred
# steps.
_idle: defaultdict[str, list[Vector]] = defaultdict(list)
atexit.register(_idle.clear)  # before the interpreter unloads ale_py, which would then complain of leaks


def _kind(spec: EnvSpec, size: int) -> str:
    return repr((spec, size))


def _vector(spec: EnvSpec, size: int) -> Vector:
    idle = _idle[_kind(spec, size)]
    return idle.pop() if idle else make_vector(spec, size)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Handling:
    """How copies are made that cannot be stepped as one, and what becomes of one that fails.

    With `separate` each copy has an environment of its own, if copies are independent, so that it can rest once it has done its
    work. With `together` environments that have threads of their own step side by side, which needs another core to be of use.

    Whatever an environment raises, and a reward or an observation that is not finite, becomes an EnvironmentFailed. If
    `tolerant`, its member is lost instead, or only the copies concerned if `copies_alone`.
    """

    separate: bool = False
    together: bool = False
    tolerant: bool = False
    copies_alone: bool = False


@dataclass(frozen=True, slots=True)
class _Part:
    """A vector environment for some copies of one member."""

    member: int
    copies: slice
    env: Vector

    @property
    def at(self) -> tuple[int, slice]:
        return self.member, self.copies


@final
class InParts(Copies):
    """Each member has its own vector environment, because some of them share one random stream among their copies; or more than
    one, see `Handling`. A part steps where one of its copies is playing.
    """

    def __init__(self, spec: EnvSpec, handling: Handling, lost: Array, calling: Sequence[Callable[[], None]]) -> None:
        super().__init__(spec, lost, calling)
        self._handling = handling
        self._parts: list[_Part] = []

    def begin(self, environment_seeds: Sequence[int]) -> None:
        self._make()
        made = False
        for part in self._parts.copy():
            if self.lost[part.member, part.copies.start]:
                continue
            self._calling[part.member]()
            try:
                first = part.env.reset(seed=environment_seeds[part.member] + part.copies.start)[0]
                if not made:
                    self.observations = np.zeros((*self.lost.shape, *first.shape[1:]), first.dtype)
                    made = True
                self.observations[part.at] = first
            except BaseException as error:
                self._lose(part.at, "reset", error)
        self._check(self.observations, "observation", "reset")

    def _make(self) -> None:
        members, num_envs = self.lost.shape
        size = 1 if self._handling.separate and self.spec.copies_are_independent else num_envs
        for member, start in [(member, start) for member in range(members) for start in range(0, num_envs, size)]:
            if self.lost[member, start]:
                continue
            self._calling[member]()
            try:
                self._parts.append(_Part(member, slice(start, start + size), _vector(self.spec, size)))
            except EnvironmentUnavailable as error:
                raise UserError(str(error)) from error
            except BaseException as error:
                self._lose((member, slice(start, start + size)), "its constructor", error)

    def step(self, actions: Array, playing: Array | None) -> Moved:
        rewards = np.zeros(self.lost.shape, np.float32)
        terminated = np.zeros(self.lost.shape, bool)
        truncated = np.zeros(self.lost.shape, bool)
        everything = playing is None and not self.lost.any()
        observations = np.empty_like(self.observations) if everything else self.observations.copy()
        for part, wait in self._begun(actions, playing):
            self._calling[part.member]()
            try:
                observations[part.at], rewards[part.at], terminated[part.at], truncated[part.at] = wait()[:4]
            except BaseException as error:
                self._lose(part.at, "step", error)
            self.frames[part.member] += part.env.num_envs * self.spec.frame_skip
        self._check(rewards, "reward", "step")
        self._check(observations, "observation", "step")
        if self.lost.any():
            for array in (rewards, terminated, truncated, observations):
                array[self.lost] = 0
        self.observations = observations
        return rewards, terminated, truncated

    def _begun(self, actions: Array, playing: Array | None) -> Iterator[tuple[_Part, Callable[[], VectorStep]]]:
        """The parts that step, each with the function that waits for its step; parts that are lost meanwhile are left out."""
        parts = [part for part in self._parts if playing is None or playing[part.at].any()]
        begun = [(part, self._begin(part, actions[part.at])) for part in parts]
        for part, wait in begun:
            if wait is not None and not self.lost[part.member, part.copies.start]:
                yield part, wait

    def _begin(self, part: _Part, actions: Array) -> Callable[[], VectorStep] | None:
        if not self._handling.together:
            return partial(part.env.step, actions)
        self._calling[part.member]()
        try:
            return begin_step(part.env, actions)
        except BaseException as error:
            self._lose(part.at, "step", error)
            return None

    def _check(self, values: Array, what: str, doing: str) -> None:
        """Lose the parts that have an entry that is not finite."""
        if values.dtype.kind != "f" or np.isfinite(values).all():
            return
        for part in self._parts.copy():
            found = values[part.at]
            odd = found[~np.isfinite(found)]
            if odd.size and not self.lost[part.member, part.copies.start]:
                error = ValueError(f"the {what} is {odd[0]:g}, not a finite number")
                self._lose(part.at, doing, error)

    def _lose(self, at: tuple[int, slice], doing: str, error: BaseException) -> None:
        if isinstance(error, KeyboardInterrupt):
            raise error
        reason = failure_of(self.spec, doing, error)
        if not self._handling.tolerant:
            raise EnvironmentFailed(reason) from error
        member, copies = at
        self.failed.setdefault(member, reason)
        self.lost[member, copies if self._handling.copies_alone else slice(None)] = True
        for part in self._parts:
            if self.lost[part.member, part.copies.start]:
                close_quietly(part.env)
        self._parts = [part for part in self._parts if not self.lost[part.member, part.copies.start]]

    def state(self, member: int) -> dict[str, Array]:
        return self._resumable(member).state()

    def resume(self, member: int, state: Mapping[str, Array]) -> None:
        self._resumable(member).resume(state)
        self.observations[member] = state["shown"]

    def _resumable(self, member: int) -> Resumes:
        (env,) = [part.env for part in self._parts if part.member == member]
        assert isinstance(env, Resumes), self.spec.id
        return env

    def close(self, *, reuse: bool) -> None:
        for part in self._parts:
            if reuse and self.spec.reusable:
                _idle[_kind(self.spec, part.env.num_envs)].append(part.env)
            else:
                close_quietly(part.env)
        self._parts = []
