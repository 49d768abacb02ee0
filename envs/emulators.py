"""Atari games played in ale_py's emulator itself, a frame at a time: they can be left in the middle of an episode.

Where not all frames are pooled, what ale_py's vector environment (`atari.Threads`) shows and pays for the same actions is shown
and paid here, bit for bit, with two exceptions. The observation at the end of an episode is drawn from its very last frames;
ale_py's leaves out the frame that ends it. And the NOOPs that begin an episode count towards its time limit here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import final

import numpy as np
from ale_py import Action, ALEInterface, ALEState, LoggerMode, roms
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from rl_pbt.envs.aliases import Array, Info, Options, Pixels, VectorStep
from rl_pbt.envs.resuming import Resumes, check_like
from rl_pbt.envs.shrinking import area_means, block_means

NOOP = 0  # in every game's minimal action set, as in the full one
POOLED = 2  # frames of an agent step, the last ones, whose maximum is shown unless all are


def emulator_of(game: str) -> ALEInterface:
    """An emulator at the beginning of the game, without randomness and without a time limit."""
    ALEInterface.setLoggerMode(LoggerMode.Error)
    emulator = ALEInterface()
    emulator.setInt("random_seed", 0)
    emulator.setFloat("repeat_action_probability", 0.0)
    emulator.setInt("max_num_frames_per_episode", 0)
    rom = roms.get_rom_path(game)
    assert rom is not None, game
    emulator.loadROM(rom)
    emulator.reset_game()
    return emulator


# The states in which this process left its emulators, by game, action set and frames of the episode.
_left: dict[tuple[str, bool, bytes], ALEState] = {}
MOST_LEFT = 1_000  # states, of some 8 kB each, plus a byte for each frame played


@final
class _Game:
    """One emulator, a frame at a time.

    Sticky actions and the NOOPs that begin an episode are drawn here, as ale_py draws them. So nothing in the emulator is
    random, and an episode begins by restoring a saved state. Otherwise a new seed would load the game again, which takes as long
    as 200 agent steps, or a reset would restart it, which takes as long as 20.
    """

    def __init__(self, options: Options) -> None:
        self._emulator = emulator_of(options["game"])
        self._full = bool(options["full_action_space"])
        self._actions = self._emulator.getLegalActionSet() if self._full else self._emulator.getMinimalActionSet()
        fires = options["use_fire_reset"] and Action.FIRE in self._actions
        self._opening = [self._actions.index(Action.FIRE)] if fires else []
        self._skip = options["frameskip"]
        self._unseen = 0 if options["pooled_block"] else self._skip - POOLED  # frames of a whole agent step
        self._sticky = options["repeat_action_probability"]
        self._noop_max = options["noop_max"]
        # The emulator has played some frames by itself; as in ale_py's vector environment, they do not count for the episode.
        self._last = self._emulator.getEpisodeFrameNumber() + options["max_num_frames_per_episode"]
        self._longest = options["max_num_frames_per_episode"] + self._noop_max + len(self._opening)
        self._game = str(options["game"])
        self._show = self._emulator.getScreenGrayscale if options["grayscale"] else self._emulator.getScreenRGB
        self.num_actions = len(self._actions)
        self.first_frame: Pixels = self._show()
        self._beginning = self._emulator.cloneState()
        self._screen, self._brightest = np.empty((2, *self.first_frame.shape), np.uint8)
        self._frames: list[int] = []  # the number of the action played in each frame of the episode
        self.generator = np.random.default_rng()

    def begin(self) -> Pixels:
        """Begin an episode. Returns the first frame that is seen of it, [H, W] or [H, W, 3]."""
        self._emulator.restoreState(self._beginning)
        noops = int(self.generator.integers(self._noop_max, endpoint=True)) - len(self._opening)
        self._frames = self._opening + [NOOP] * noops
        self._play(self._frames)
        return self._show() if self._frames else self.first_frame  # restoring a state does not redraw the screen

    def continue_from(self, played: Array) -> None:
        """Go to where these frames of an episode led, [F] action numbers. Raises ValueError for what cannot have been played.

        If this process left the episode, the emulator's state is known; otherwise the frames are played again. Loading that state
        from a checkpoint would be quicker, but it cannot be trusted: the emulator believes it, and may write anywhere in memory.
        """
        if played.size > self._longest or not ((played >= 0) & (played < self.num_actions)).all():
            raise ValueError("it holds frames that cannot have been played")
        self._frames = played.tolist()
        known = _left.get(self._key())
        if known is not None:
            self._emulator.restoreState(known)
            return
        self._emulator.restoreState(self._beginning)
        self._play(self._frames)

    def leave(self) -> Array:
        """The frames of the episode so far, [F] action numbers: all that `continue_from` needs, in any process."""
        _left[self._key()] = self._emulator.cloneState()
        while len(_left) > MOST_LEFT:
            del _left[next(iter(_left))]
        return np.array(self._frames, np.uint8)

    def _key(self) -> tuple[str, bool, bytes]:
        return self._game, self._full, bytes(self._frames)

    def _play(self, frames: Sequence[int]) -> None:
        for action in frames:
            self._emulator.act(self._actions[action])

    def step(self, action: int) -> tuple[Pixels, float, bool, bool]:
        """One agent step, or less if the episode ends: the pixelwise maximum of its frames, true reward, terminated, truncated.

        The next step overwrites the array.
        """
        self._brightest.fill(0)
        reward = 0.0
        for frame, sticks in enumerate(self.generator.random(self._skip) < self._sticky):
            played = (self._frames[-1] if self._frames else NOOP) if sticks else action
            self._frames.append(played)
            reward += self._emulator.act(self._actions[played])
            terminated = self._emulator.game_over()
            truncated = not terminated and self._emulator.getEpisodeFrameNumber() >= self._last
            if frame >= self._unseen or terminated or truncated:
                self._show(self._screen)
                np.maximum(self._brightest, self._screen, out=self._brightest)
            if terminated or truncated:
                break
        return self._brightest, reward, terminated, truncated


@final
class Emulators(VectorEnv[Array, Array, Array], Resumes):
    """Games in emulators of their own; observations stack what was seen in the last few agent steps, shrunk.

    With a `pooled_block`, all frames of a step are seen and shrunk by blocks, otherwise the last two, shrunk to the size that is
    asked for. NEXT_STEP autoreset.
    """

    def __init__(self, options: Options, num_envs: int) -> None:
        self._games = [_Game(options) for _ in range(num_envs)]
        block = options["pooled_block"]
        size = (options["img_height"], options["img_width"])
        self._shrunk = partial(block_means, block=block) if block else partial(area_means, size=size)
        self._stack = options["stack_num"]
        self.num_envs = num_envs
        self.metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}
        frame = self._shrunk(self._games[0].first_frame)
        self.single_observation_space = Box(0, 255, (self._stack, *frame.shape), np.uint8)
        self.single_action_space = Discrete(self._games[0].num_actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._frames = [np.zeros((num_envs, *frame.shape), np.uint8)] * self._stack  # the latest, oldest first; never handed out
        self._ended = np.zeros(num_envs, bool)  # [B], whether the episode ended in the last step

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Pixels, Info]:
        """Reset every game; the i-th is seeded with seed + i. Raises ValueError for options."""
        if options:
            raise ValueError(f"emulators are reset together, without options; got {sorted(options)}")
        if seed is not None:
            for i, game in enumerate(self._games):
                game.generator = np.random.default_rng(seed + i)
        self._ended = np.zeros(self.num_envs, bool)
        everyone = np.ones(self.num_envs, bool)
        return self._pushed([self._shrunk(game.begin()) for game in self._games], everyone), {}

    def step(self, actions: Array) -> VectorStep:
        """One agent step, actions [B]. The caller owns the arrays returned.

        Returns observations [B, stack, height, width] uint8, true rewards, terminated, truncated.
        """
        fresh = self._ended
        rewards = np.zeros(self.num_envs)
        terminated, truncated = np.zeros((2, self.num_envs), bool)
        frames = []
        for i, game in enumerate(self._games):
            if fresh[i]:
                frame = game.begin()
            else:
                frame, rewards[i], terminated[i], truncated[i] = game.step(int(actions[i]))
            frames.append(self._shrunk(frame))
        self._ended = terminated | truncated
        return self._pushed(frames, fresh), rewards, terminated, truncated, {}

    def state(self) -> dict[str, Array]:
        """`played` has the action numbers of each episode's frames, padded to the longest; `frames` has the true lengths."""
        played = [game.leave() for game in self._games]
        longest = max(map(len, played))
        return {
            "played": np.stack([np.pad(one, (0, longest - len(one))) for one in played]),
            "frames": np.array([len(one) for one in played]),
            "ended": self._ended.copy(),
            "shown": np.stack(self._frames, axis=1),
        }

    def resume(self, state: Mapping[str, Array]) -> None:
        none = np.zeros((self.num_envs, 0), np.uint8)
        own = {"played": none, "frames": np.zeros(self.num_envs, int), "ended": self._ended, "shown": np.stack(self._frames, 1)}
        check_like(state, own, free=("played",))
        for game, played, frames, ended in zip(
            self._games, state["played"], state["frames"].tolist(), state["ended"], strict=True
        ):
            if not 0 <= frames <= len(played):
                raise ValueError(f"it cannot be {frames} frames long")
            if not ended:  # otherwise the next step begins an episode
                game.continue_from(played[:frames])
        self._ended = state["ended"].copy()
        self._frames = [frame.copy() for frame in state["shown"].swapaxes(0, 1)]

    def _pushed(self, frames: Sequence[Pixels], fresh: Array) -> Pixels:
        """The stack with `frames` added last; earlier frames are black where the episode has just begun, as in ale_py."""
        older = self._frames[1:]
        if fresh.any():
            older = [np.where(fresh.reshape(-1, *[1] * frames[0].ndim), 0, one).astype(np.uint8) for one in older]
        self._frames = [*older, np.stack(frames)]
        return np.stack(self._frames, axis=1)
