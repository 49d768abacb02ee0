"""ViZDoom as a first-person view: the screen alone, in colour, drawn small and shrunk by blocks of whole pixels.

The game runs at 35 tics a second, and the agent acts on every fourth, as in Petrenko 2020, "Sample Factory"; a tic is what is
called a frame elsewhere. Frames are not stacked: remembering what has gone out of sight is left to a recurrent agent.

Deviations from ViZDoom's own Gymnasium environments: depth, labels, map, sound and game variables (health, ammunition) are
left out; an episode that only ran out of time is truncated, not terminated as well; and its last observation is the last
screen that was seen. ViZDoom draws none after an end and shows black, whose value would then be bootstrapped.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import final

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict

from rl_pbt.envs.aliases import Array, Info, Options, Pixels, Step, UnknownEnv
from rl_pbt.envs.shrinking import block_means

FRAME_SKIP = 4
FOLDER = Path("_vizdoom")
OPTIONS: Options = {
    "make_kwargs": {
        "frame_skip": FRAME_SKIP,
        "screen_resolution": "RES_160X120",  # the smallest, for the least drawing
        "screen_format": "RGB24",
        "treat_episode_timeout_as_truncation": True,
    },
    "screen_block": [2, 2],  # 120 x 160 -> 60 x 80
}


@final
class Screen(gymnasium.Wrapper[Array, object, Mapping[str, Array], object]):
    """Observations [height, width, colour] uint8: means of the screen's blocks, rounded down."""

    def __init__(self, env: UnknownEnv, options: Options) -> None:
        super().__init__(env)
        self._block = rows, columns = options["screen_block"]
        assert isinstance(env.observation_space, Dict)
        height, width, colours = env.observation_space["screen"].shape or ()
        if height % rows or width % columns:
            raise ValueError(f"a screen of {height} x {width} is not a whole number of blocks {options['screen_block']}")
        self.observation_space = Box(0, 255, (height // rows, width // columns, colours), np.uint8)
        self._last: Pixels = np.zeros((height // rows, width // columns, colours), np.uint8)
        # The game writes its settings to a file, by default in the working directory.
        self._settings = tempfile.TemporaryDirectory(prefix="vizdoom-", ignore_cleanup_errors=True)
        env.unwrapped.game.set_doom_config_path(str(Path(self._settings.name) / "settings.ini"))  # type: ignore[attr-defined]

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Pixels, Info]:
        """The screen at the start of an episode."""
        # The game creates this for screenshots when it starts. Two games that did so at once crashed, and the interpreter too.
        FOLDER.mkdir(exist_ok=True)
        observation, info = self.env.reset(seed=seed, options=options)
        self._last = block_means(observation["screen"], self._block)
        return self._last, info

    def step(self, action: object) -> Step:
        """One agent step; at the end of an episode, with the last screen that was seen."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        if not (terminated or truncated):
            self._last = block_means(observation["screen"], self._block)
        return self._last, float(reward), terminated and not truncated, truncated, info

    def close(self) -> None:
        """Close the game, and remove what it wrote."""
        super().close()
        self._settings.cleanup()
        with contextlib.suppress(OSError):
            FOLDER.rmdir()
