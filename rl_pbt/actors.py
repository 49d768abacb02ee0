"""The environments of a group of members, stepped together.

Every vector environment runs in Gymnasium's NEXT_STEP mode: the step after an end ignores its action and returns the reset
observation. This module marks that transition as not valid; `agents.returns` explains why nothing else is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from envs import EnvironmentUnavailable, EnvSpec, make_vector
from rl_pbt.records import UserError

Array: TypeAlias = "np.ndarray[Any, Any]"


@dataclass(slots=True)
class Episodes:
    """Whole episodes of one member: true returns, lengths in agent steps, and how many a time limit ended."""

    returns: list[float] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    truncated: int = 0


@contextmanager
def _environment_errors_in_one_line(spec: EnvSpec, doing: str) -> Iterator[None]:
    try:
        yield
    except (UserError, KeyboardInterrupt):
        raise
    except EnvironmentUnavailable as error:
        raise UserError(str(error)) from error
    except Exception as error:
        first_line = (str(error).splitlines() or [""])[0]
        raise UserError(f"environment {spec.id} failed in {doing}: {type(error).__name__}: {first_line}") from error


class Actors:
    """`num_envs` copies of the environment for each member, all fresh. Not reused: an interval is a pure function.

    Each member has a vector environment of its own, because some of them share one random stream among their copies.
    """

    def __init__(self, spec: EnvSpec, num_envs: int, environment_seeds: Sequence[int]) -> None:
        self.spec = spec
        with _environment_errors_in_one_line(spec, "its constructor"):
            self._envs = [make_vector(spec, num_envs) for _ in environment_seeds]
        shape = (len(self._envs), num_envs)
        self.episodes = [Episodes() for _ in self._envs]
        self.valid = np.ones(shape, bool)  # [P, B]: whether the next step is a true transition
        self._returns = np.zeros(shape)
        self._lengths = np.zeros(shape, np.int64)
        with _environment_errors_in_one_line(spec, "reset"):
            first = [env.reset(seed=seed)[0] for env, seed in zip(self._envs, environment_seeds, strict=True)]
        self.observations: Array = np.stack(first)  # [P, B, *observation]
        self._dtype = self.observations.dtype

    def step(self, actions: Array, playing: Sequence[int] | None = None) -> tuple[Array, Array, Array]:
        """Step the members in `playing` (all by default) with actions [P, B, ...].

        Returns rewards, terminated and ended, each [P, B]; the new observations are in `observations`, freshly allocated.
        """
        members = range(len(self._envs)) if playing is None else playing
        rewards = np.zeros(self.valid.shape, np.float32)
        terminated = np.zeros(self.valid.shape, bool)
        truncated = np.zeros(self.valid.shape, bool)
        observations = np.empty_like(self.observations) if playing is None else self.observations.copy()
        with _environment_errors_in_one_line(self.spec, "step"):
            for member in members:
                outcome = self._envs[member].step(actions[member])
                observations[member], rewards[member], terminated[member], truncated[member] = outcome[:4]
        self.observations = observations
        ended = terminated | truncated
        self._count(rewards, ended, truncated & ~terminated)
        self.valid = ~ended
        return rewards, terminated, ended

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
        for env in self._envs:
            env.close()
