"""The last few observations as one of the same kind: a stack of vectors is a vector, a stack of images is an image."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import final

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Tuple
from gymnasium.spaces.utils import flatdim

from rl_pbt.envs.aliases import Array, Env, Info, Space, Step
from rl_pbt.envs.flattening import Vectored


@final
class Stack(gymnasium.Wrapper[Array, object, Array, object]):
    """Shows the last `depth` observations, oldest first; those from before the first one of an episode are zeros, as in ale_py.

    Where several parts were flattened to a vector, each part is stacked by itself.
    """

    def __init__(self, env: Env, depth: int) -> None:
        super().__init__(env)
        space = env.observation_space
        assert isinstance(space, Box)
        original = space.original if isinstance(space, Vectored) else space
        stacked = _stacked(original, depth)
        shown = stacked if isinstance(stacked, Box) else Vectored(stacked)
        self.observation_space = shown
        self._shape = shown.shape
        sizes = [flatdim(part) for part in _parts(original)]
        self._order = slice(None) if len(sizes) == 1 else _part_by_part(sizes, depth)
        self._last = np.zeros((depth, *space.shape), space.dtype)

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Array, Info]:
        """The first observation of an episode, after zeros."""
        first, info = self.env.reset(seed=seed, options=options)
        self._last = np.zeros_like(self._last)
        self._last[-1] = first
        return self._shown(), info

    def step(self, action: object) -> Step:
        """One step of the environment."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._last = np.roll(self._last, -1, 0)
        self._last[-1] = observation
        return self._shown(), float(reward), terminated, truncated, info

    def _shown(self) -> Array:
        return self._last.ravel()[self._order].reshape(self._shape)


def _part_by_part(sizes: list[int], depth: int) -> Array:
    """Where the numbers of each part are in `depth` vectors, one after the other, that have parts of these sizes."""
    ends = np.cumsum(sizes)
    rows = ends[-1] * np.arange(depth)[:, None]
    return np.concatenate([(rows + np.arange(end - size, end)).ravel() for size, end in zip(sizes, ends, strict=True)])


def _parts(space: Space) -> Iterator[Space]:
    """The parts of a space, in the order in which Gymnasium flattens them."""
    if not isinstance(space, Dict | Tuple):
        yield space
        return
    for inner in space.spaces.values() if isinstance(space, Dict) else space.spaces:
        yield from _parts(inner)


def _stacked(space: Space, depth: int) -> Space:
    """The space of `depth` observations that are stacked part by part."""
    if isinstance(space, Box):
        return _stacked_box(space, depth)
    if isinstance(space, Dict):
        return Dict([(name, _stacked(inner, depth)) for name, inner in space.spaces.items()])  # a list keeps its order
    if isinstance(space, Tuple):
        return Tuple([_stacked(inner, depth) for inner in space.spaces])
    return Tuple([space] * depth)


def _stacked_box(space: Box, depth: int) -> Box:
    low, high = (np.stack([bound] * depth).reshape(_shape(space, depth)) for bound in (space.low, space.high))
    return Box(low, high, dtype=space.dtype.type)


def _shape(space: Box, depth: int) -> tuple[int, ...]:
    """[N] -> [depth * N], [H, W, C] -> [depth, H, W, C] and [K, H, W, C] -> [depth * K, H, W, C].

    Bytes [H, W] are images of one channel; other numbers with two axes are a vector, as for the networks that read them.
    """
    shape = space.shape
    if len(shape) < 2 or (len(shape) == 2 and space.dtype not in (np.uint8, np.bool_)):
        return (depth * math.prod(shape),)
    if len(shape) < 4:
        return (depth, *shape, *([1] if len(shape) == 2 else []))
    return (depth * shape[0], *shape[1:])
