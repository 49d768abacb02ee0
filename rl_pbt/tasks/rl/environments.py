"""The environments of a group of members, stepped together.

Every vector environment runs in Gymnasium's NEXT_STEP mode: the step after an end ignores its action and returns the reset
observation. This module marks that transition as not valid; `agents.returns` explains why nothing else is needed.
"""

from __future__ import annotations

import atexit
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from gymnasium.vector import VectorEnv

from rl_pbt.arrays import Array
from rl_pbt.envs import DEFAULT_BACKEND, EnvironmentUnavailable, EnvSpec, UnknownEnvironment, begin_step, make_vector, resolve
from rl_pbt.errors import BadSetting, UserError

Vector: TypeAlias = VectorEnv[Array, Array, Array]


@dataclass(slots=True)
class Episodes:
    """Whole episodes of one member: true returns, lengths in agent steps, and how many a time limit ended."""

    returns: list[float] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    truncated: int = 0


def resolved(name: str | None, backend: str = DEFAULT_BACKEND) -> EnvSpec:
    """The exact environment that a name stands for. Raises UserError, one line."""
    if name is None:
        raise BadSetting("env", "is missing: say which environment, Pacman for instance")
    try:
        return resolve(name, backend=backend)
    except (UnknownEnvironment, EnvironmentUnavailable) as error:
        raise UserError(str(error)) from None


@contextmanager
def environment_errors_in_one_line(spec: EnvSpec, doing: str) -> Iterator[None]:
    """Raise UserError, naming the environment and what it was `doing`, for whatever it raises."""
    try:
        yield
    except (UserError, KeyboardInterrupt):
        raise
    except EnvironmentUnavailable as error:
        raise UserError(str(error)) from error
    except Exception as error:
        first_line = (str(error).splitlines() or [""])[0]
        raise UserError(f"environment {spec.id} failed in {doing}: {type(error).__name__}: {first_line}") from error


# Environments of this process, kept until others of their kind are wanted: making Atari's takes as long as a hundred steps.
_idle: defaultdict[str, list[Vector]] = defaultdict(list)
atexit.register(_idle.clear)  # before the interpreter unloads ale_py, which would then complain of leaks


def _kind(spec: EnvSpec, size: int) -> str:
    return repr((spec, size))


def _vector(spec: EnvSpec, size: int) -> Vector:
    idle = _idle[_kind(spec, size)]
    return idle.pop() if idle else make_vector(spec, size)


class MemberEnvironments:
    """`num_envs` copies of the environment for each member, all as good as fresh: an interval is a pure function.

    Each member has a vector environment of its own, because some of them share one random stream among their copies.
    `separate` gives each copy one of its own, where the copies are independent: then a copy that has done its work can rest.
    `together` lets those that have threads of their own step side by side, for which another core should be free.
    `frames` counts what was emulated for each member.
    """

    def __init__(
        self,
        spec: EnvSpec,
        num_envs: int,
        environment_seeds: Sequence[int],
        *,
        separate: bool = False,
        together: bool = False,
    ) -> None:
        self.spec = spec
        self._together = together
        size = 1 if separate and spec.copies_are_independent else num_envs
        parts = [(member, start) for member in range(len(environment_seeds)) for start in range(0, num_envs, size)]
        with environment_errors_in_one_line(spec, "its constructor"):
            self._parts = [(member, slice(start, start + size), _vector(spec, size)) for member, start in parts]
        shape = (len(environment_seeds), num_envs)
        self.episodes = [Episodes() for _ in environment_seeds]
        self.frames = [0] * len(environment_seeds)
        self.valid = np.ones(shape, bool)  # [P, B]: whether the next step is a true transition
        self._returns = np.zeros(shape)
        self._lengths = np.zeros(shape, np.int64)
        with environment_errors_in_one_line(spec, "reset"):
            first = [env.reset(seed=environment_seeds[member] + copies.start)[0] for member, copies, env in self._parts]
        self.observations: Array = np.concatenate(first).reshape(*shape, *first[0].shape[1:])  # [P, B, *observation]

    def step(self, actions: Array, playing: Array | None = None) -> tuple[Array, Array, Array]:
        """Step every copy with actions [P, B, ...]; with `playing` [P, B], only vector environments with a copy in it.

        Returns rewards, terminated and ended, each [P, B]; the new observations are in `observations`, freshly allocated.
        """
        rewards = np.zeros(self.valid.shape, np.float32)
        terminated = np.zeros(self.valid.shape, bool)
        truncated = np.zeros(self.valid.shape, bool)
        observations = np.empty_like(self.observations) if playing is None else self.observations.copy()
        with environment_errors_in_one_line(self.spec, "step"):
            begun = [
                ((member, copies), env, self._begin(env, actions[member, copies]))
                for member, copies, env in self._parts
                if playing is None or playing[member, copies].any()
            ]
            for at, env, wait in begun:
                observations[at], rewards[at], terminated[at], truncated[at] = wait()[:4]
                self.frames[at[0]] += env.num_envs * self.spec.frame_skip
        self.observations = observations
        ended = terminated | truncated
        self._count(rewards, ended, truncated & ~terminated)
        self.valid = ~ended
        return rewards, terminated, ended

    def _begin(self, env: Vector, actions: Array) -> Callable[[], tuple[Array, Array, Array, Array, dict[str, Any]]]:
        return begin_step(env, actions) if self._together else partial(env.step, actions)

    def _count(self, rewards: Array, ended: Array, truncated: Array) -> None:
        self._returns += rewards
        self._lengths += self.valid
        for member, env in np.argwhere(ended):
            episodes = self.episodes[member]
            episodes.returns.append(float(self._returns[member, env]))
            episodes.lengths.append(int(self._lengths[member, env]))
            episodes.truncated += int(truncated[member, env])
        self._returns[ended] = 0.0
        self._lengths[ended] = 0

    def close(self) -> None:
        """To be called once, and not after an error: an environment that failed does not serve again."""
        for _, copies, env in self._parts:
            if self.spec.reusable:
                _idle[_kind(self.spec, copies.stop - copies.start)].append(env)
            else:
                env.close()
