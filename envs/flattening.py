"""Observations of several parts flattened to one vector, whose space remembers the parts."""

from __future__ import annotations

from typing import final

import gymnasium
from gymnasium.spaces import Box
from gymnasium.wrappers import FlattenObservation
from gymnasium.wrappers.vector import FlattenObservation as FlattenObservations

from rl_pbt.envs.aliases import Space, UnknownEnv, Vector


@final
class Vectored(Box):
    """The space of vectors to which observations of an `original` space are flattened."""

    def __init__(self, original: Space) -> None:
        flat = gymnasium.spaces.flatten_space(original)
        assert isinstance(flat, Box)
        super().__init__(flat.low, flat.high, dtype=flat.dtype.type)
        self.original = original


@final
class Flat(FlattenObservation):
    """A single environment whose observations are flattened to such vectors."""

    def __init__(self, env: UnknownEnv) -> None:
        super().__init__(env)
        self.observation_space = Vectored(env.observation_space)


@final
class FlatVector(FlattenObservations):
    """The same for a vector environment."""

    def __init__(self, env: Vector) -> None:
        super().__init__(env)
        self.single_observation_space = Vectored(env.single_observation_space)
