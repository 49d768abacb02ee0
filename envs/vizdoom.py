"""ViZDoom as a first-person view: the screen alone, in colour, drawn small and shrunk by blocks of whole pixels.

The agent acts every fourth of the game's 35 tics a second, as in Petrenko 2020, "Sample Factory"; a tic is what is elsewhere
called a frame. Frames are not stacked: what has gone out of sight is for a recurrent agent to remember.

Departures from ViZDoom's own Gymnasium environments: depth, labels, map, sound and game variables (health, ammunition) are
left out; an episode that only ran out of time is truncated and not terminated as well; and its last observation is the last
screen that was seen, where ViZDoom, which draws none after an end, shows black, whose value would then be bootstrapped.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias, final

import gymnasium
import numpy as np
from gymnasium.spaces import Box

Array: TypeAlias = "np.ndarray[Any, Any]"

FRAME_SKIP = 4
FOLDER = Path("_vizdoom")
OPTIONS: Mapping[str, Any] = {
    "make_kwargs": {
        "frame_skip": FRAME_SKIP,
        "screen_resolution": "RES_160X120",  # the smallest, for the least drawing
        "screen_format": "RGB24",
        "treat_episode_timeout_as_truncation": True,
    },
    "screen_block": [2, 2],  # 120 x 160 -> 60 x 80
}


@final
class Screen(gymnasium.Wrapper[Array, Any, Any, Any]):
    """Observations [height, width, colour] uint8: means of the screen's blocks, rounded down."""

    def __init__(self, env: gymnasium.Env[Any, Any], options: Mapping[str, Any]) -> None:
        super().__init__(env)
        self._rows, self._columns = options["screen_block"]
        height, width, colours = env.observation_space["screen"].shape  # type: ignore[index]
        if height % self._rows or width % self._columns:
            raise ValueError(f"a screen of {height} x {width} is no whole number of blocks {options['screen_block']}")
        self._shape = height // self._rows, width // self._columns, colours
        self.observation_space = Box(0, 255, self._shape, np.uint8)
        self._last: Array = np.zeros(self._shape, np.uint8)
        # The game writes down its settings, by default in the working directory.
        self._settings = tempfile.TemporaryDirectory(prefix="vizdoom-", ignore_cleanup_errors=True)
        env.unwrapped.game.set_doom_config_path(str(Path(self._settings.name) / "settings.ini"))  # type: ignore[attr-defined]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        # The game, when it starts, makes this for screenshots. Two that did so at once died, and the interpreter with them.
        FOLDER.mkdir(exist_ok=True)
        observation, info = self.env.reset(seed=seed, options=options)
        self._last = self._shrunk(observation["screen"])
        return self._last, info

    def step(self, action: Any) -> tuple[Array, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        if not (terminated or truncated):
            self._last = self._shrunk(observation["screen"])
        return self._last, reward, terminated and not truncated, truncated, info

    def _shrunk(self, screen: Array) -> Array:
        # Pixel by pixel of the blocks: one sum over both axes takes longer than the game's own drawing.
        sums: Array = np.zeros(self._shape, np.uint16)
        for row, column in np.ndindex(self._rows, self._columns):
            sums += screen[row :: self._rows, column :: self._columns]
        means: Array = (sums // (self._rows * self._columns)).astype(np.uint8)
        return means

    def close(self) -> None:
        super().close()
        self._settings.cleanup()
        with contextlib.suppress(OSError):
            FOLDER.rmdir()
