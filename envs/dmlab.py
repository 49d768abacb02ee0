"""DeepMind Lab, the first-person levels of Jaderberg 2017 and Espeholt 2018, for users who have built its native library.

The package `dmlab-gym` (Python 3.13, Linux) registers the ids `dmlab_gym/<level>-v0`, and its command `dmlab-gym build` builds
the library in a container. As in Espeholt 2018, appendix D: 72 x 96 pixels in colour, every action repeated for four frames,
and nine discrete actions. The engine ends an episode at its own time limit without reporting that as the reason, so these ends
count as terminations.
"""

from __future__ import annotations

import importlib
from typing import final

import gymnasium

from rl_pbt.envs.aliases import Array, Env, Options, Step

FRAME_SKIP = 4
OPTIONS: Options = {
    "make_kwargs": {"renderer": "software", "width": 96, "height": 72, "fps": 60},
    "actions": "the nine of Espeholt 2018, table D.2",
    "frame_skip": FRAME_SKIP,
}


@final
class SkipFrames(gymnasium.Wrapper[Array, object, Array, object]):
    """Nine actions, each repeated until `frame_skip` frames have passed or the episode ends; rewards are summed."""

    def __init__(self, env: Env, options: Options) -> None:
        super().__init__(importlib.import_module("dmlab_gym.wrappers").ActionDiscretize(env))
        self._frame_skip = options["frame_skip"]

    def step(self, action: object) -> Step:
        """One agent step, which is `frame_skip` frames or fewer at the end of an episode."""
        total = 0.0
        for _ in range(self._frame_skip):
            observation, reward, terminated, truncated, info = self.env.step(action)
            total += float(reward)
            if terminated or truncated:
                break
        return observation, total, terminated, truncated, info
