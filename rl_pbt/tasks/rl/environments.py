"""The environments of a group of members, stepped together; each can fail without the others.

Every vector environment runs in Gymnasium's NEXT_STEP mode: the step after an end ignores its action and returns the reset
observation. This module marks that transition as not valid; `agents.returns` explains why nothing else is needed.
"""

from __future__ import annotations

import atexit
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, final

import numpy as np

from rl_pbt.arrays import Array
from rl_pbt.envs import (
    EnvironmentUnavailable,
    EnvSpec,
    Resumes,
    begin_step,
    check_like,
    close_quietly,
    make_population,
    make_vector,
)
from rl_pbt.envs.aliases import Vector, VectorStep
from rl_pbt.errors import UserError
from rl_pbt.tasks.on_environments.episodes import Episodes
from rl_pbt.tasks.on_environments.failing import EnvironmentFailed, environment_errors_in_one_line, failure_of
from rl_pbt.tasks.on_environments.spaces import KnownSpaces, Spaces

# Environments of this process that wait to be used again by others of their kind: making Atari's takes as long as a hundred
# steps.
_idle: defaultdict[str, list[Vector]] = defaultdict(list)
atexit.register(_idle.clear)  # before the interpreter unloads ale_py, which would then complain of leaks


def _spaces_of_one(spec: EnvSpec) -> Spaces:
    with environment_errors_in_one_line(spec, "its constructor"):
        probe = make_vector(spec, 1)
    close_quietly(probe)
    return probe.single_observation_space, probe.single_action_space


spaces_of = KnownSpaces(_spaces_of_one)


def _kind(spec: EnvSpec, size: int) -> str:
    return repr((spec, size))


def _vector(spec: EnvSpec, size: int) -> Vector:
    idle = _idle[_kind(spec, size)]
    return idle.pop() if idle else make_vector(spec, size)


@final
class _Ended(NamedTuple):
    """A whole episode: its true return, its length in agent steps, and whether a time limit ended it."""

    earned: float
    steps: int
    truncated: bool


@dataclass(frozen=True, slots=True)
class _Part:
    """A vector environment for some copies of one member."""

    member: int
    copies: slice
    env: Vector

    @property
    def at(self) -> tuple[int, slice]:
        return self.member, self.copies


class MemberEnvironments:
    """`num_envs` copies of the environment for each member, all as good as new: so an interval is a pure function.

    If all copies can be stepped as one (`envs.population`), they are, and a copy that has done its work rests. Otherwise each
    member has its own vector environment, because some of them share one random stream among their copies. With `separate` each
    copy has one of its own, if copies are independent, so that it can rest too. With `together` environments that have threads of
    their own step side by side, which needs another core to be of use. `frames` counts what was emulated for each member.
    `calling[p]` is called before each call of an environment of member p.

    Whatever an environment raises, and a reward or an observation that is not finite, becomes an EnvironmentFailed. If
    `tolerant`, its member becomes `lost` instead, or only the copies concerned if `copies_alone`: from then on they are not
    stepped, their observations and rewards are 0, and none of their steps is valid. Members that are `absent` are lost from the
    start, and no environments are made for them.
    """

    def __init__(
        self,
        spec: EnvSpec,
        num_envs: int,
        environment_seeds: Sequence[int],
        *,
        separate: bool = False,
        together: bool = False,
        tolerant: bool = False,
        copies_alone: bool = False,
        absent: Collection[int] = (),
        calling: Sequence[Callable[[], None]] = (),
    ) -> None:
        self.spec = spec
        self._together = together
        self._tolerant = tolerant
        self._copies_alone = copies_alone
        self._calling = calling or [_nothing] * len(environment_seeds)
        shape = (len(environment_seeds), num_envs)
        self.failed: dict[int, str] = {}  # the first reason of each member whose copies failed
        self.lost = np.zeros(shape, bool)  # [P, B]
        self.lost[list(absent)] = True
        self._ended: list[list[_Ended]] = [[] for _ in environment_seeds]
        self.frames = [0] * len(environment_seeds)
        self.valid = ~self.lost  # [P, B]: whether the next step is a true transition
        self._returns = np.zeros(shape)
        self._lengths = np.zeros(shape, np.int64)
        self._parts: list[_Part] = []
        self.observations: Array = np.zeros(shape)  # [P, B, *observation]
        self._whole = make_population(spec, *shape)  # if it is possible; then there are no parts
        if self._whole is not None:
            self.observations = self._whole.reset(environment_seeds)
            self.observations[self.lost] = 0
            return
        try:
            self._make(1 if separate and spec.copies_are_independent else num_envs)
            self._reset(environment_seeds)
        except BaseException:
            self.close(reuse=False)
            raise

    def _make(self, size: int) -> None:
        members, num_envs = self.lost.shape
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

    def _reset(self, environment_seeds: Sequence[int]) -> None:
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

    @property
    def episodes(self) -> list[Episodes]:
        """The whole episodes of each member so far, in the order in which they ended."""
        return [
            Episodes(
                returns=tuple(one.earned for one in ended),
                lengths=tuple(one.steps for one in ended),
                truncated=sum(one.truncated for one in ended),
            )
            for ended in self._ended
        ]

    def unfinished(self, member: int) -> dict[str, Array]:
        """A member's unfinished episodes, for an interval that continues them: arrays [B, ...], without random streams.

        Only for a member that has lost nothing, in environments whose spec is `resumable`.
        """
        stand = self._whole.state(member) if self._whole is not None else self._resumable(member).state()
        return {**stand, "returns": self._returns[member].copy(), "lengths": self._lengths[member].copy()}

    def resume(self, member: int, state: Mapping[str, Array]) -> None:
        """Continue a member's episodes from such a state, before the first step. Raises ValueError for any other state."""
        own = {"returns": self._returns[member], "lengths": self._lengths[member]}
        check_like({name: array for name, array in state.items() if name in own}, own)
        stand = {name: array for name, array in state.items() if name not in own}
        if self._whole is not None:
            self._whole.resume(member, stand)
        else:
            self._resumable(member).resume(stand)
        self._returns[member], self._lengths[member] = state["returns"], state["lengths"]
        self.observations[member], self.valid[member] = state["shown"], ~state["ended"]

    def _resumable(self, member: int) -> Resumes:
        (env,) = [part.env for part in self._parts if part.member == member]
        assert isinstance(env, Resumes), self.spec.id
        return env

    def step(self, actions: Array, playing: Array | None = None) -> tuple[Array, Array, Array]:
        """Step every copy with actions [P, B, ...]; with `playing` [P, B], only those, or vector environments that hold one.

        Returns rewards, terminated and ended, each [P, B]; the new observations are in `observations`, freshly allocated.
        """
        stepped = self._stepped if self._whole is None else self._stepped_at_once
        observations, rewards, terminated, truncated = stepped(_finite(actions), playing)
        if self.lost.any():
            for array in (rewards, terminated, truncated, observations):
                array[self.lost] = 0
        self.observations = observations
        ended = terminated | truncated
        self._count(rewards, ended, truncated & ~terminated)
        self.valid = ~(ended | self.lost)
        return rewards, terminated, ended

    def _stepped_at_once(self, actions: Array, playing: Array | None) -> tuple[Array, Array, Array, Array]:
        """Observations, rewards, terminated and truncated; only copies that are `playing` and not lost step."""
        assert self._whole is not None
        stepping = ~self.lost if playing is None else playing & ~self.lost
        for member, copies in enumerate(stepping.sum(1).tolist()):
            self._calling[member]()
            self.frames[member] += copies * self.spec.frame_skip
        return self._whole.step(actions, stepping)

    def _stepped(self, actions: Array, playing: Array | None) -> tuple[Array, Array, Array, Array]:
        """The same, part by part; a part steps where one of its copies does."""
        rewards = np.zeros(self.valid.shape, np.float32)
        terminated = np.zeros(self.valid.shape, bool)
        truncated = np.zeros(self.valid.shape, bool)
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
        return observations, rewards, terminated, truncated

    def _begun(self, actions: Array, playing: Array | None) -> Iterator[tuple[_Part, Callable[[], VectorStep]]]:
        """The parts that step, each with the function that waits for its step; parts that are lost meanwhile are left out."""
        parts = [part for part in self._parts if playing is None or playing[part.at].any()]
        begun = [(part, self._begin(part, actions[part.at])) for part in parts]
        for part, wait in begun:
            if wait is not None and not self.lost[part.member, part.copies.start]:
                yield part, wait

    def _begin(self, part: _Part, actions: Array) -> Callable[[], VectorStep] | None:
        if not self._together:
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
        if not self._tolerant:
            raise EnvironmentFailed(reason) from error
        member, copies = at
        self.failed.setdefault(member, reason)
        self.lost[member, copies if self._copies_alone else slice(None)] = True
        for part in self._parts:
            if self.lost[part.member, part.copies.start]:
                close_quietly(part.env)
        self._parts = [part for part in self._parts if not self.lost[part.member, part.copies.start]]

    def _count(self, rewards: Array, ended: Array, truncated: Array) -> None:
        self._returns += rewards
        self._lengths += self.valid
        for at in map(tuple, np.argwhere(ended)):
            self._ended[at[0]].append(_Ended(float(self._returns[at]), int(self._lengths[at]), bool(truncated[at])))
        self._returns[ended] = 0.0
        self._lengths[ended] = 0

    def close(self, *, reuse: bool = True) -> None:
        """To be called once. With `reuse`, which must not be used after an error, environments that can serve again are kept."""
        for part in self._parts:
            if reuse and self.spec.reusable:
                _idle[_kind(self.spec, part.env.num_envs)].append(part.env)
            else:
                close_quietly(part.env)
        self._parts = []

    def __enter__(self) -> MemberEnvironments:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(reuse=kind is None)


def _nothing() -> None:
    """What is called if nobody wants to know."""


def _finite(actions: Array) -> Array:
    """The actions, with zeros for those of a member that diverged: these are not the fault of its environment."""
    if actions.dtype.kind != "f" or np.isfinite(actions).all():
        return actions
    return np.nan_to_num(actions, nan=0.0, posinf=0.0, neginf=0.0)
