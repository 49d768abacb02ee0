"""Atari through ale_py's own C++ vector environment, with every option set and recorded.

The protocol is Machado 2018, "Revisiting the Arcade Learning Environment": sticky actions with probability 0.25, five-minute
episodes, true scores. Reward clipping and the like are the learner's business. There is no fire on reset: it is part of no
published protocol with sticky actions, and an agent learns to press FIRE.

Some games draw some sprites only in some of the frames. `ALE/Pacman-v5` draws one ghost a frame in a rotation of
four, so an agent that acts every fourth frame sees the same one or two ghosts for ever. For such games all skipped
frames are pooled, not the last two.
"""

from __future__ import annotations

from typing import Any, TypeAlias, final

import numpy as np
from ale_py.vector_env import AtariVectorEnv
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

Array: TypeAlias = "np.ndarray[Any, Any]"
Options: TypeAlias = dict[str, Any]

FRAME_SKIP = 4
STACK = 4
EPISODE_FRAMES = 18_000  # five minutes at 60 frames a second (Machado 2018)
# Games whose sprites take turns over more than two frames (Arcade-Learning-Environment issue 709), with the period.
FLICKER_PERIOD = {"pacman": 4}


def options_of(game: str) -> Options:
    """Every keyword argument of AtariVectorEnv but the number of environments and threads, for a game in snake case."""
    pooled = game in FLICKER_PERIOD
    return {
        "game": game,
        "frameskip": FRAME_SKIP // 2 if pooled else FRAME_SKIP,
        "pool_all_frames": pooled,
        "stack_num": 1 if pooled else STACK,
        "maxpool": True,
        "repeat_action_probability": 0.25,
        "max_num_frames_per_episode": EPISODE_FRAMES,  # counted in emulator frames, unlike its C++ name says
        "img_height": 84,
        "img_width": 84,
        "grayscale": True,
        "noop_max": 30,
        "use_fire_reset": False,
        "episodic_life": False,
        "life_loss_info": False,
        "reward_clipping": False,
        "full_action_space": False,
        "continuous": False,
        "continuous_action_threshold": 0.5,
        "autoreset_mode": AutoresetMode.NEXT_STEP.value,
        "batch_size": 0,
        "thread_affinity_offset": -1,
    }


def make(options: Options, num_envs: int, threads: int) -> VectorEnv[Any, Any, Any]:
    """The vector environment of `options_of`."""
    inner = {name: value for name, value in options.items() if name != "pool_all_frames"}
    env = AtariVectorEnv(num_envs=num_envs, num_threads=threads, **inner)
    return PoolAllFrames(env) if options["pool_all_frames"] else env


@final
class PoolAllFrames(VectorEnv[Any, Any, Any]):
    """Two inner steps of two frames for each agent step; their maximum, and a frame stack of its own.

    NEXT_STEP autoreset at the level of agent steps. An episode may end in the first of the two inner steps, when the inner
    environment would be reset in the second; so, whichever it was, environments that have ended run on unseen through the next
    agent step and are then reset by mask, which is what that step shows. An inner reset without a seed goes on with the
    emulator's own random stream, so the whole is deterministic.
    """

    def __init__(self, inner: AtariVectorEnv) -> None:
        self._inner = inner
        self.num_envs = inner.num_envs
        self.metadata = {**inner.metadata, "autoreset_mode": AutoresetMode.NEXT_STEP}
        height, width = (inner.single_observation_space.shape or ())[1:]
        self.single_observation_space = Box(0, 255, (STACK, height, width), np.uint8)
        self.single_action_space = inner.single_action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = inner.action_space
        self._stack = np.zeros((self.num_envs, STACK, height, width), np.uint8)
        self._ended = np.zeros(self.num_envs, bool)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Reset every environment; sub-environment i is seeded with seed + i."""
        frames, info = self._inner.reset(seed=seed)
        self._ended[:] = False
        self._stack = self._pushed(frames[:, 0], np.ones(self.num_envs, bool))
        return self._stack, info

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        """One agent step of four frames. The arrays returned are not written to again."""
        first, reward, terminated, truncated, info = self._inner.step(actions)
        ended = terminated | truncated
        second, reward_2, terminated_2, truncated_2, info = self._inner.step(actions)
        frames = np.maximum(first, second)[:, 0]
        frames[ended] = first[ended, 0]  # the second step has reset these
        rewards = reward + np.where(ended, 0, reward_2)
        terminated, truncated = terminated | (terminated_2 & ~ended), truncated | (truncated_2 & ~ended)
        was_ended = self._ended
        if was_ended.any():
            fresh, _ = self._inner.reset(options={"reset_mask": was_ended})
            frames[was_ended] = fresh[was_ended, 0]
            for array in (rewards, terminated, truncated):
                array[was_ended] = 0
        self._ended = terminated | truncated
        self._stack = self._pushed(frames, was_ended)
        return self._stack, rewards, terminated, truncated, info

    def _pushed(self, frames: Array, cleared: Array) -> Array:
        """A new stack with `frames` last; earlier frames are black where the episode has just begun, as in ale_py."""
        stack = np.empty_like(self._stack)
        stack[:, :-1] = self._stack[:, 1:]
        stack[cleared, :-1] = 0
        stack[:, -1] = frames
        return stack

    def close_extras(self, **kwargs: Any) -> None:
        self._inner.close()
