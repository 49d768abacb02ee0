"""MiniGrid and BabyAI as an image that a convolution can read: the agent's own view, one-hot.

The view is partial and turns with the agent, so its direction adds nothing but a compass; what the agent carries is shown in
its own cell. The mission, a text, is left out: of most environments it is constant (in DoorKey always "use the key to open the
door and then get to the goal"), but of those that draw it anew each episode, such as Fetch, GoToDoor and most of BabyAI, the
best that can be learnt without reading is to guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, final

import gymnasium
import numpy as np
from gymnasium.spaces import Box

Array: TypeAlias = "np.ndarray[Any, Any]"

# How many kinds of object, colours and states of doors there are (minigrid.core.constants): a cell is one of each.
CELL = (11, 6, 3)
CHANNELS = sum(CELL)
OPTIONS: Mapping[str, Any] = {"observation": "one-hot view, no mission"}


def one_hot(cells: Array) -> Array:
    """[..., 3] indices -> [..., CHANNELS] of 0 and 1, uint8. MiniGrid's own wrapper declares these as 0 to 255."""
    planes = [np.eye(kinds, dtype=np.uint8)[cells[..., index]] for index, kinds in enumerate(CELL)]
    return np.concatenate(planes, axis=-1)


def one_hot_space(view: tuple[int, ...]) -> Box:
    """The space of `one_hot` for cells of shape [*view, 3]."""
    return Box(0, 1, (*view, CHANNELS), np.uint8)


@final
class OneHotView(gymnasium.ObservationWrapper[Array, Any, Any]):
    """[view, view, CHANNELS] of 0 and 1 in place of MiniGrid's dictionary of image, direction and mission."""

    def __init__(self, env: gymnasium.Env[Any, Any], options: Mapping[str, Any]) -> None:
        super().__init__(env)
        image = env.observation_space["image"]  # type: ignore[index]
        self.observation_space = one_hot_space(image.shape[:2])

    def observation(self, observation: Any) -> Array:
        return one_hot(observation["image"])
