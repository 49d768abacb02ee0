"""MiniGrid and BabyAI as an image that a convolution can read: the agent's own view, one-hot.

The view is partial and turns with the agent, so its direction would add nothing but a compass; what the agent carries is shown in
its own cell. The mission, a text, is left out. In most environments it is constant (in DoorKey always "use the key to open the
door and then get to the goal"), but in those that draw a new one each episode, such as Fetch, GoToDoor and most of BabyAI, the
best that can be learned without reading it is to guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict

from rl_pbt.envs.aliases import Array, Options, Pixels, UnknownEnv

# The numbers of object types, colours and door states (minigrid.core.constants); a cell has one of each.
CELL = (11, 6, 3)
CHANNELS = sum(CELL)
OPTIONS: Options = {"observation": "one-hot view, no mission"}


def one_hot(cells: Array) -> Pixels:
    """[..., 3] indices -> [..., CHANNELS] of 0 and 1, uint8. MiniGrid's own wrapper declares these as 0 to 255."""
    planes = [np.eye(kinds, dtype=np.uint8)[cells[..., index]] for index, kinds in enumerate(CELL)]
    return np.concatenate(planes, axis=-1)


def one_hot_space(view: tuple[int, ...]) -> Box:
    """The space of `one_hot` for cells of shape [*view, 3]."""
    return Box(0, 1, (*view, CHANNELS), np.uint8)


@final
class OneHotView(gymnasium.ObservationWrapper[Array, object, Mapping[str, Array]]):
    """[view, view, CHANNELS] of 0 and 1 in place of MiniGrid's dictionary of image, direction and mission."""

    def __init__(self, env: UnknownEnv, options: Options) -> None:
        super().__init__(env)
        assert isinstance(env.observation_space, Dict)
        self.observation_space = one_hot_space((env.observation_space["image"].shape or ())[:2])

    def observation(self, observation: Mapping[str, Array]) -> Pixels:
        """The view of one step."""
        return one_hot(observation["image"])
