"""A stack of observations is read by the kind of network that reads one of them, and holds the last of them, part by part."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from rl_pbt.agents.torsos import make_torso
from rl_pbt.envs import make_vector, resolve

DEPTH, LIMIT = 4, 6
BYTES = spaces.Box(0, 255, (16, 16, 3), np.uint8)
VECTOR = spaces.Box(-1, 1, (5,), np.float32)
SPACES: dict[str, spaces.Space[Any]] = {
    "vector": VECTOR,
    "bytes": spaces.Box(0, 255, (128,), np.uint8),
    "booleans": spaces.Box(0, 1, (40,), np.bool_),
    "matrix": spaces.Box(-1, 1, (8, 8), np.float32),
    "grey": spaces.Box(0, 255, (16, 16), np.uint8),
    "narrow": spaces.Box(0, 255, (10, 3), np.uint8),
    "colour": BYTES,
    "channels first": spaces.Box(0, 255, (3, 16, 20), np.uint8),
    "floats": spaces.Box(0, 1, (16, 16, 3), np.float32),
    "stack": spaces.Box(0, 255, (2, 16, 16, 3), np.uint8),
    "number": spaces.Discrete(5, start=2),
    "numbers": spaces.MultiDiscrete([3, 2]),
    "bits": spaces.MultiBinary(4),
    "image and vector": spaces.Dict({"img": BYTES, "vector": VECTOR}),
    "not in the order of names": spaces.Dict(view=BYTES, state=VECTOR),
    "images and bytes": spaces.Tuple((spaces.Box(0, 255, (128,), np.uint8), BYTES, spaces.Box(0, 255, (9, 9), np.uint8))),
    "nested": spaces.Dict({"a": spaces.Tuple((spaces.Discrete(3), VECTOR)), "b": spaces.Dict({"img": BYTES})}),
}


class Sampling(gymnasium.Env[Any, Any]):
    """Shows samples of a space, in episodes of LIMIT steps."""

    action_space: Any = spaces.Discrete(2)

    def __init__(self, space: spaces.Space[Any]) -> None:
        self.observation_space = space

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self.clock = 0
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.clock += 1
        return self.observation_space.sample(), 0.0, self.clock >= LIMIT, False, {}


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    for name, space in SPACES.items():
        gymnasium.register(f"stacking/{name.replace(' ', '')}-v0", entry_point=Sampling, kwargs={"space": space})
    yield
    for id_ in [id_ for id_ in gymnasium.registry if id_.startswith("stacking/")]:
        del gymnasium.registry[id_]


def made(name: str, depth: int | None) -> Any:
    return make_vector(resolve(f"stacking/{name.replace(' ', '')}-v0", options={"frame_stack": depth} if depth else None), 1)


def network(space: Any) -> str:
    return make_torso("auto", space, hidden=(64,), shared=False, autocast=False).words


def deeper(words: str, depth: int) -> str:
    """What a network is called that reads `depth` times as many numbers in each vector, and channels in each image."""
    words = re.sub(r"(?<=a vector of )\d+", lambda found: str(depth * int(found[0])), words)
    return re.sub(r"(\d+) channels?", lambda found: f"{depth * int(found[1])} channel{'s' * (depth * int(found[1]) > 1)}", words)


@pytest.mark.parametrize("depth", [1, 2, DEPTH, 20])
@pytest.mark.parametrize("name", SPACES)
def test_a_stack_is_read_as_what_it_is_made_of(name: str, depth: int) -> None:
    single, stacked = made(name, None), made(name, depth)
    assert network(stacked.single_observation_space) == deeper(network(single.single_observation_space), depth)


def test_the_words_compared_tell_images_from_vectors() -> None:
    assert "convolution" in network(BYTES) and "16x16 and 3 channels" in network(BYTES)
    assert "divided by 255" in network(SPACES["bytes"]) and "vector of 128" in network(SPACES["bytes"])
    assert "16x16 and 12 channels" in deeper(network(BYTES), 4) and "vector of 20" in deeper(network(VECTOR), 4)


def parts(space: Any, shown: Any) -> list[Any]:
    """The parts of a vector for the parts of the space that was flattened; of a Box, all of it."""
    original = getattr(space, "original", space)
    if original is space:
        return [shown]
    found, start = [], 0
    stack = [original]
    while stack:
        part = stack.pop(0)
        if isinstance(part, spaces.Dict | spaces.Tuple):
            stack = [*(part.values() if isinstance(part, spaces.Dict) else part), *stack]
        else:
            size = spaces.flatdim(part)
            found.append(shown[start : start + size])
            start += size
    assert start == len(shown)
    return found


@pytest.mark.parametrize("name", SPACES)
def test_it_holds_the_last_observations_of_the_episode_in_each_part(name: str) -> None:
    single, stacked = made(name, None), made(name, DEPTH)
    space = single.single_observation_space
    assert stacked.single_observation_space.dtype == space.dtype
    seen = [single.reset(seed=1)[0][0]]
    shown = stacked.reset(seed=1)[0]
    kept, copies = [shown], [shown.copy()]
    ended = False
    for _ in range(2 * LIMIT + 4):
        last = ([np.zeros_like(seen[0])] * DEPTH + seen)[-DEPTH:]
        expected = [np.stack(frames).ravel() for frames in zip(*(parts(space, frame) for frame in last), strict=True)]
        np.testing.assert_array_equal(shown[0].ravel(), np.concatenate(expected))
        assert shown.shape[1:] == stacked.single_observation_space.shape
        observation, _, terminated, *_ = single.step(np.zeros(1, int))
        shown = stacked.step(np.zeros(1, int))[0]
        seen = [observation[0]] if ended else [*seen, observation[0]]
        ended = bool(terminated[0])
        kept.append(shown)
        copies.append(shown.copy())
    assert all(np.array_equal(one, copy) for one, copy in zip(kept, copies, strict=True)), "what was returned is the caller's"
    single.close()
    stacked.close()
