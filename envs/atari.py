"""Atari through ale_py's own C++ vector environment, with every option set and recorded.

The protocol is Machado 2018, "Revisiting the Arcade Learning Environment": sticky actions with probability 0.25,
five-minute episodes, true scores. Reward clipping and the like are the learner's business. There is no fire on reset:
it is no part of that protocol. Games such as Breakout stand still until FIRE is pressed; that is the agent's to learn.

Some games draw some sprites only in some of the frames. `ALE/Pacman-v5` draws one ghost a frame in a rotation of four,
so an agent that acts every fourth frame sees the same one or two ghosts for ever. For such games all skipped frames are
pooled, not the last two, and shrunk once, by blocks of whole pixels: shrinking to 84x84 costs more than a frame of emulation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, final

import numpy as np
from ale_py import ALEInterface, roms
from ale_py.vector_env import AtariVectorEnv
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

Array: TypeAlias = "np.ndarray[Any, Any]"
Options: TypeAlias = dict[str, Any]

FRAME_SKIP = 4
FRAMES_PER_S = 60.0
STACK = 4
NOOP = 0  # in every game's minimal action set, as in the full one
EPISODE_FRAMES = 18_000  # five minutes at 60 frames a second (Machado 2018)
# Games whose sprites take turns over four frames (Arcade-Learning-Environment issue 709): the size of their screen, and the
# blocks of it whose means are the pixels of an observation.
FLICKERING = {"pacman": {"screen": (250, 160), "block": (3, 2)}}


def options_of(game: str) -> Options:
    """Every keyword argument of AtariVectorEnv, for a game in snake case, and the `pooled_block` of PoolAllFrames (or None).

    The numbers of environments and threads are not among them: they are the caller's, and change no result.
    """
    pooled = FLICKERING.get(game)
    height, width = pooled["screen"] if pooled else (84, 84)
    return {
        "game": game,
        "frameskip": FRAME_SKIP // 2 if pooled else FRAME_SKIP,
        "pooled_block": list(pooled["block"]) if pooled else None,
        "stack_num": 1 if pooled else STACK,
        "maxpool": True,
        "repeat_action_probability": 0.25,
        "max_num_frames_per_episode": EPISODE_FRAMES,  # counted in emulator frames, unlike its C++ name says
        "img_height": height,
        "img_width": width,
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
    inner = {name: value for name, value in options.items() if name != "pooled_block"}
    env = AtariVectorEnv(num_envs=num_envs, num_threads=threads, **inner)
    return PoolAllFrames(env, options["pooled_block"]) if options["pooled_block"] else env


def make_twin(options: Mapping[str, Any]) -> VectorEnv[Any, Any, Any]:
    """One copy of the same game in colour and in its full size, for people: [1, 1, H, W, 3].

    A pooled game's steps are the inner ones. With the same seed and actions it plays the same game.
    """
    emulator = ALEInterface()
    rom = roms.get_rom_path(options["game"])
    assert rom is not None, options["game"]
    emulator.loadROM(rom)
    height, width = emulator.getScreenDims()
    inner = {name: value for name, value in options.items() if name not in ("backend", "pooled_block")}
    inner |= {"grayscale": False, "stack_num": 1, "img_height": height, "img_width": width}
    return AtariVectorEnv(num_envs=1, num_threads=1, **inner)


def block_means(frames: Array, block: Sequence[int]) -> Array:
    """[B, H, W] -> [B, H // block[0], W // block[1]], both uint8: means of blocks, rounded down; a rest is cut off."""
    rows, columns = block
    height, width = frames.shape[1] // rows * rows, frames.shape[2] // columns * columns
    sums = np.zeros((len(frames), height // rows, frames.shape[2]), np.uint16)
    for row in range(rows):
        sums += frames[:, row:height:rows]
    for column in range(1, columns):
        sums[:, :, 0:width:columns] += sums[:, :, column:width:columns]
    return (sums[:, :, 0:width:columns] // (rows * columns)).astype(np.uint8)


@final
class PoolAllFrames(VectorEnv[Any, Any, Any]):
    """Two inner steps of two frames for each agent step; their maximum in blocks, and a frame stack of its own.

    NEXT_STEP autoreset at the level of agent steps. An episode may end in the first of the two inner steps, when the inner
    environment resets itself in the second, or in the second, when it does so in the next agent step. Either way it idles
    until the end of that next agent step, which shows the new episode: two or four frames of NOOP on top of the up to
    `noop_max` that begin an episode anyway. To reset it once more, to the very first frame, would cost as much as twenty
    agent steps.
    An inner reset without a seed goes on with the emulator's own random stream, so the whole is deterministic.
    """

    def __init__(self, inner: AtariVectorEnv, block: Sequence[int]) -> None:
        self._inner = inner
        self._block = block
        self.num_envs = inner.num_envs
        self.metadata = {**inner.metadata, "autoreset_mode": AutoresetMode.NEXT_STEP}
        _, height, width = inner.single_observation_space.shape or ()
        self._frame_shape = (height // block[0], width // block[1])
        self.single_observation_space = Box(0, 255, (STACK, *self._frame_shape), np.uint8)
        self.single_action_space = inner.single_action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = inner.action_space
        self._frames: list[Array] = []  # the last four, oldest first, each [B, height, width]; never handed out
        self._ended = np.zeros(self.num_envs, bool)  # [B]: episodes that ended in the last agent step

    def reset(self, *, seed: int | None = None, options: Options | None = None) -> tuple[Array, Options]:
        """Reset every environment; sub-environment i is seeded with seed + i. Takes no options (ValueError)."""
        if options:
            raise ValueError(f"pooled environments are reset together, without options; got {sorted(options)}")
        first, info = self._inner.reset(seed=seed)
        self._ended = np.zeros(self.num_envs, bool)
        black = np.zeros((self.num_envs, *self._frame_shape), np.uint8)
        self._frames = [*(black.copy() for _ in range(STACK - 1)), block_means(first[:, 0], self._block)]
        return np.stack(self._frames, axis=1), info

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array, Options]:
        """One agent step of four frames, actions [B]. The caller owns the arrays returned.

        Returns observations [B, 4, height, width] uint8, true rewards, terminated, truncated, and ale_py's information.
        """
        fresh = self._ended
        actions = np.where(fresh, NOOP, actions)
        first, reward, terminated, truncated, first_info = self._inner.step(actions)
        second, second_reward, second_terminated, second_truncated, info = self._inner.step(actions)
        early = (terminated | truncated) & ~fresh  # these the second inner step has reset
        frame = np.maximum(first[:, 0], second[:, 0])
        frame[early] = first[early, 0]
        reward = np.where(early, reward, reward + second_reward)
        terminated = np.where(early, terminated, second_terminated)
        truncated = np.where(early, truncated, second_truncated)
        reward[fresh], terminated[fresh], truncated[fresh] = 0, False, False
        self._ended = terminated | truncated
        return self._pushed(frame, fresh), reward, terminated, truncated, _chosen(early, first_info, info)

    def _pushed(self, frame: Array, fresh: Array) -> Array:
        """The stack with `frame`, shrunk, last; what went before is black where the episode has just begun, as in ale_py."""
        self._frames = [*self._frames[1:], block_means(frame, self._block)]
        if fresh.any():
            for older in self._frames[:-1]:
                older[fresh] = 0
        return np.stack(self._frames, axis=1)

    def close_extras(self, **kwargs: Any) -> None:
        self._inner.close()


def _chosen(mask: Array, where: Options, elsewhere: Options) -> Options:
    return {name: np.where(mask, where[name], elsewhere[name]) for name in elsewhere}
