"""Environments as Stable-Baselines3 takes them: single ones, in a vector environment of SB3's that resets within the same step.

Environments that Gymnasium makes one at a time are made by `gymnasium.make`, as SB3's users do, with the wrapper of their family.
Atari and DeepMind Lab come as vector environments only. A vector of one copy is presented as a single environment, so that every
option (sticky actions, pooling of frames, the length of an episode) is the one that the specification records, and not that of
SB3's wrappers.
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
from rl_pbt.envs import EnvironmentUnavailable, EnvSpec, Guarded, finite_reward, make_vector, quietly
from rl_pbt.envs.families import FAMILIES, register
from rl_pbt.envs.vector import refuse_shapeless
from rl_pbt.tasks.on_environments.episodes import Episodes
from rl_pbt.tasks.on_environments.failing import EnvironmentFailed, environment_errors_in_one_line, failure_of

Env: TypeAlias = gymnasium.Env[Array, object]


def make_one(spec: EnvSpec) -> Env:
    """A single environment whose observations are a Box, and whose errors are EnvironmentFailed. Raises UserError, one line."""
    with environment_errors_in_one_line(spec, "its constructor"):
        return Blaming(_made(spec), spec)


def _made(spec: EnvSpec) -> Env:
    if FAMILIES[spec.family].vectors_only:
        return OneCopy(make_vector(spec, 1))
    register(spec.family, spec.id)
    try:
        env: Env = gymnasium.make(spec.id, **spec.arguments)
    except (gymnasium_error.UnregisteredEnv, gymnasium_error.DependencyNotInstalled, ImportError) as error:
        raise EnvironmentUnavailable(f"environment {spec.id} cannot be made: {type(error).__name__}: {error}") from error
    wrap = FAMILIES[spec.family].wrap
    env = env if wrap is None else wrap(env, options=spec.options)
    if not isinstance(env.observation_space, spaces.Box):
        refuse_shapeless(env.observation_space, spec.id)
        env = FlattenObservation(env)
    return Guarded(env)


@final
class Blaming(gymnasium.Wrapper[Array, object, Array, object]):
    """The same environment, but whatever it raises, and a wrong observation, becomes an EnvironmentFailed."""

    def __init__(self, env: Env, spec: EnvSpec) -> None:
        super().__init__(env)
        self._spec = spec

    def reset(self, *, seed: int | None = None, options: dict[str, object] | None = None) -> tuple[Array, dict[str, object]]:
        """The first observation of an episode."""
        try:
            observation, info = self.env.reset(seed=seed, options=options)
            return self._checked(observation), info
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise self._blame("reset", error) from error

    def step(self, action: object) -> tuple[Array, float, bool, bool, dict[str, object]]:
        """One step."""
        try:
            observation, reward, terminated, truncated, info = self.env.step(action)
            return self._checked(observation), float(reward), terminated, truncated, info
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise self._blame("step", error) from error

    def close(self) -> None:
        """Close it, and ignore what it raises."""
        with quietly():
            super().close()

    def _blame(self, doing: str, error: BaseException) -> EnvironmentFailed:
        return EnvironmentFailed(failure_of(self._spec, doing, error))

    def _checked(self, observation: Array) -> Array:
        """The observation. Raises ValueError if it is not finite, or of a wrong shape, for which SB3 would repeat a number."""
        found = np.asarray(observation)
        if found.shape != self.observation_space.shape:
            raise ValueError(f"an observation has the shape {found.shape}, not {self.observation_space.shape}")
        if found.dtype.kind == "f" and not np.isfinite(found).all():
            raise ValueError(f"the observation is {found[~np.isfinite(found)][0]:g}, not a finite number")
        return observation


@final
class OneCopy(Env):
    """A vector environment of one copy, with NEXT_STEP autoreset, as a single environment."""

    def __init__(self, vector: VectorEnv[Array, Array, Array]) -> None:
        self.observation_space = vector.single_observation_space
        self.action_space = vector.single_action_space
        self._vector = vector
        self._ignored: Array | None = None  # an action, once an episode has ended: for the next step, which ignores it

    def reset(self, *, seed: int | None = None, options: dict[str, object] | None = None) -> tuple[Array, dict[str, object]]:
        """The first observation of an episode; with a `seed`, of the episode that this determines."""
        if seed is None and self._ignored is not None:
            observations = self._vector.step(self._ignored)[0]
        else:
            observations = self._vector.reset(seed=seed)[0]
        self._ignored = None
        return observations[0], {}

    def step(self, action: object) -> tuple[Array, float, bool, bool, dict[str, object]]:
        """Observation, true reward, terminated, truncated, and an empty info."""
        actions = np.asarray(action)[None]
        observations, rewards, terminated, truncated, _ = self._vector.step(actions)
        self._ignored = actions if terminated[0] or truncated[0] else None
        return observations[0], finite_reward(float(rewards[0])), bool(terminated[0]), bool(truncated[0]), {}

    def close(self) -> None:
        """Close the vector environment."""
        self._vector.close()


def make_training(spec: EnvSpec, num_envs: int, *, gamma: float, observations: bool, rewards: bool, clip_rewards: bool) -> VecEnv:
    """SB3's vector of `num_envs` copies, each in a Monitor that records its true returns.

    With `observations` or `rewards` these are normalised by SB3's running statistics, rewards by those of returns with discount
    `gamma`. `clip_rewards` keeps only their signs. Evaluation sees true rewards. Raises UserError.
    """

    def watched() -> Env:
        env: Env = Monitor(make_one(spec))
        return ClipRewardEnv(env) if clip_rewards else env

    vector = DummyVecEnv([watched] * num_envs)
    if not (observations or rewards):
        return vector
    return VecNormalize(vector, norm_obs=observations, norm_reward=rewards, gamma=gamma)


def ended_in(training: VecEnv) -> Episodes:
    """The whole episodes of training so far, copy by copy. How they ended is not known."""
    returns, lengths = training.get_attr("episode_returns"), training.get_attr("episode_lengths")
    return Episodes(
        returns=tuple(value for of_copy in returns for value in of_copy),
        lengths=tuple(value for of_copy in lengths for value in of_copy),
    )


@dataclass(slots=True)
class _Episode:
    """The first episode of one copy, as far as it was played."""

    env: Env | None = None
    seen: Array | None = None  # the last observation
    total: float = 0.0
    length: int = 0
    truncated: bool = False
    failure: str | None = None
    ended: bool = False

    def begin(self, spec: EnvSpec, seed: int) -> None:
        self.env = make_one(spec)
        self.seen = self.env.reset(seed=seed)[0]

    def step(self, action: object, longest: int | None) -> None:
        assert self.env is not None
        self.length += 1
        self.seen, reward, terminated, truncated, _ = self.env.step(action)
        self.total += float(reward)
        self.truncated = not terminated and (bool(truncated) or self.length == longest)
        self.ended = bool(terminated) or self.truncated


def first_episodes(
    spec: EnvSpec,
    num_episodes: int,
    seed: int,
    choose: Callable[[Array], Sequence[object]],
    *,
    longest: int | None = None,
    tolerant: bool = False,
    calling: Callable[[], None] = lambda: None,
) -> Episodes:
    """The first whole episode of each of `num_episodes` copies, the i-th reset with seed + i; a copy rests once it has ended.

    Taking whichever episodes end first would favour short ones. `choose` maps the observations [n, ...] of the copies that play
    to their actions. An episode is cut after `longest` steps. If `tolerant`, an episode that raises EnvironmentFailed is
    excluded. `calling` is called before each call of an environment.
    """
    episodes = [_Episode() for _ in range(num_episodes)]

    def told(episode: _Episode, work: Callable[[], None]) -> None:
        calling()
        try:
            work()
        except EnvironmentFailed as failed:
            if not tolerant:
                raise
            episode.failure, episode.ended = str(failed), True

    with ExitStack() as closing:
        for i, episode in enumerate(episodes):
            told(episode, partial(episode.begin, spec, seed + i))
            if episode.env is not None:
                closing.callback(episode.env.close)
        while playing := [episode for episode in episodes if not episode.ended]:
            actions = choose(np.stack([episode.seen for episode in playing if episode.seen is not None]))
            for episode, action in zip(playing, actions, strict=True):
                told(episode, partial(episode.step, action, longest))
    return _summed(episodes)


def _summed(episodes: Sequence[_Episode]) -> Episodes:
    whole = [episode for episode in episodes if episode.failure is None]
    lost = [episode for episode in episodes if episode.failure is not None]
    return Episodes(
        returns=tuple(episode.total for episode in whole),
        lengths=tuple(episode.length for episode in whole),
        truncated=sum(episode.truncated for episode in whole),
        excluded=len(lost),
        failure=lost[0].failure if lost else None,
        lost_steps=sum(episode.length for episode in lost),
    )


def random_choice(space: spaces.Space[object], seed: int) -> Callable[[Array], Sequence[object]]:
    """Uniformly random actions, for `first_episodes`."""
    space.seed(seed)
    return partial(_drawn, space)


def _drawn(space: spaces.Space[object], observations: Array) -> Sequence[object]:
    return [space.sample() for _ in observations]
