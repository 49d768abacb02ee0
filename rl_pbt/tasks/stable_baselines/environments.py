"""Environments as Stable-Baselines3 wants them: single ones, with a vector of SB3's around them that resets in the same step.

What Gymnasium makes one at a time is made by `gymnasium.make`, as SB3's users do, with the wrapper of its family. Atari and
DeepMind Lab come as vector environments only: one copy of those is shown as a single environment, so that every option (sticky
actions, pooling of frames, the length of an episode) is the one that the specification records, and not that of SB3's wrappers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias, final

import gymnasium
import numpy as np
from gymnasium import error as gymnasium_error
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from gymnasium.wrappers import FlattenObservation
from stable_baselines3.common.atari_wrappers import ClipRewardEnv
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecNormalize

from rl_pbt.arrays import Array
from rl_pbt.envs import EnvironmentUnavailable, EnvSpec, make_vector
from rl_pbt.envs.families import FAMILIES, register
from rl_pbt.envs.vector import refuse_shapeless
from rl_pbt.errors import UserError

Env: TypeAlias = gymnasium.Env[Array, object]
VECTORS_ONLY = frozenset({"atari", "dmlab"})


def make_one(spec: EnvSpec) -> Env:
    """A single environment whose observations are a Box. Raises UserError, one line."""
    try:
        if spec.family in VECTORS_ONLY:
            return OneCopy(make_vector(spec, 1))
        register(spec.family, spec.id)
        env: Env = gymnasium.make(spec.id, **spec.options.get("make_kwargs", {}))
        wrap = FAMILIES[spec.family].wrap
        env = env if wrap is None else wrap(env, options=spec.options)
        if isinstance(env.observation_space, spaces.Box):
            return env
        refuse_shapeless(env.observation_space, spec.id)
        return FlattenObservation(env)
    except EnvironmentUnavailable as error:
        raise UserError(str(error)) from error
    except (gymnasium_error.Error, ImportError, TypeError, ValueError) as error:
        first_line = (str(error).splitlines() or [""])[0]
        raise UserError(f"environment {spec.id} cannot be made: {type(error).__name__}: {first_line}") from error


@final
class OneCopy(Env):
    """A vector environment of one copy, with NEXT_STEP autoreset, as a single environment."""

    def __init__(self, vector: VectorEnv[Array, Array, Array]) -> None:
        self.observation_space = vector.single_observation_space
        self.action_space = vector.single_action_space
        self._vector = vector
        self._ignored: Array | None = None  # an action, once an episode has ended: the step after it ignores its action

    def reset(self, *, seed: int | None = None, options: dict[str, object] | None = None) -> tuple[Array, dict[str, object]]:
        """The first observation of an episode; with a `seed`, of the one that it names."""
        if seed is None and self._ignored is not None:
            observations = self._vector.step(self._ignored)[0]
        else:
            observations = self._vector.reset(seed=seed)[0]
        self._ignored = None
        return observations[0], {}

    def step(self, action: object) -> tuple[Array, float, bool, bool, dict[str, object]]:
        """Observation, true reward, terminated, truncated, and nothing."""
        actions = np.asarray(action)[None]
        observations, rewards, terminated, truncated, _ = self._vector.step(actions)
        self._ignored = actions if terminated[0] or truncated[0] else None
        return observations[0], float(rewards[0]), bool(terminated[0]), bool(truncated[0]), {}

    def close(self) -> None:
        """Close the vector environment."""
        self._vector.close()


def make_training(spec: EnvSpec, num_envs: int, *, gamma: float, observations: bool, rewards: bool, clip_rewards: bool) -> VecEnv:
    """SB3's vector of `num_envs` copies, each in a Monitor that keeps its true returns.

    `observations` and `rewards` are normalised by SB3's running statistics, rewards by those of returns with discount `gamma`;
    `clip_rewards` leaves their signs alone. Evaluation sees true rewards. Raises UserError.
    """

    def watched() -> Env:
        env: Env = Monitor(make_one(spec))
        return ClipRewardEnv(env) if clip_rewards else env

    vector = DummyVecEnv([watched] * num_envs)
    if not (observations or rewards):
        return vector
    return VecNormalize(vector, norm_obs=observations, norm_reward=rewards, gamma=gamma)


@dataclass(frozen=True, slots=True, kw_only=True)
class Episodes:
    """Whole episodes: true returns, lengths in steps, and how many a time limit ended."""

    returns: tuple[float, ...] = ()
    lengths: tuple[int, ...] = ()
    truncated: int = 0

    @property
    def steps(self) -> int:
        return sum(self.lengths)


def ended_in(training: VecEnv) -> Episodes:
    """The whole episodes of training so far, copy by copy. How they ended is not known."""
    returns, lengths = training.get_attr("episode_returns"), training.get_attr("episode_lengths")
    return Episodes(
        returns=tuple(value for of_copy in returns for value in of_copy),
        lengths=tuple(value for of_copy in lengths for value in of_copy),
    )


def first_episodes(spec: EnvSpec, num_episodes: int, seed: int, choose: Callable[[Array], Sequence[object]]) -> Episodes:
    """The first whole episode of each of `num_episodes` copies, the i-th reset with seed + i; a copy rests once it has ended.

    Taking whichever episodes end first would favour short ones. `choose` maps observations [copies that play, ...] to their
    actions.
    """
    with ExitStack() as closing:
        copies = [make_one(spec) for _ in range(num_episodes)]
        for env in copies:
            closing.callback(env.close)
        observations = [env.reset(seed=seed + i)[0] for i, env in enumerate(copies)]
        returns, lengths, truncations = [0.0] * num_episodes, [0] * num_episodes, 0
        playing = list(range(num_episodes))
        while playing:
            still = []
            for i, action in zip(playing, choose(np.stack([observations[i] for i in playing])), strict=True):
                observations[i], reward, terminated, truncated, _ = copies[i].step(action)
                returns[i] += float(reward)
                lengths[i] += 1
                truncations += int(truncated and not terminated)
                still += [] if terminated or truncated else [i]
            playing = still
    return Episodes(returns=tuple(returns), lengths=tuple(lengths), truncated=truncations)


def random_choice(space: spaces.Space[object], seed: int) -> Callable[[Array], Sequence[object]]:
    """Uniformly random actions, for `first_episodes`."""
    space.seed(seed)
    return partial(_drawn, space)


def _drawn(space: spaces.Space[object], observations: Array) -> Sequence[object]:
    return [space.sample() for _ in observations]
