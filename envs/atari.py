"""Atari through ale_py's own C++ vector environment, with every option set and recorded.

The protocol is Machado 2018, "Revisiting the Arcade Learning Environment": sticky actions with probability 0.25,
five-minute episodes, true scores. Reward clipping and the like are left to the learner. FIRE is not pressed on reset, which would
not be part of that protocol. Games such as Breakout stand still until it is pressed; the agent has to learn that.

Some games draw some sprites only in some of the frames. `ALE/Pacman-v5` draws one ghost per frame in a rotation of four, so an
agent that acts every fourth frame sees the same one or two ghosts all the time. For such games all skipped frames are pooled, not
only the last two, and shrunk once, by blocks of whole pixels: resizing to 84x84 costs more than emulating a frame. ale_py's
vector environment cannot do that, so these games are stepped frame by frame, through ale_py's emulator itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

import numpy as np
from ale_py import ALEInterface, ALEState, LoggerMode, roms
from ale_py.vector_env import AtariVectorEnv
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from rl_pbt.envs.aliases import Array, Info, Options, Pixels, Vector, VectorStep
from rl_pbt.envs.blocks import block_means
from rl_pbt.envs.resuming import Resumes, check_like
from rl_pbt.envs.spec import WrongOption
from rl_pbt.envs.stepping import StepsInHalves

FRAME_SKIP = 4
FRAMES_PER_S = 60.0
STACK = 4
NOOP = 0  # in every game's minimal action set, as in the full one
EPISODE_FRAMES = 18_000  # five minutes at 60 frames a second (Machado 2018)
# Games whose sprites take turns over four frames (Arcade-Learning-Environment issue 709): the size of their screen, and of the
# blocks in it whose means are the pixels of an observation.
FLICKERING = {"pacman": {"screen": (250, 160), "block": (3, 2)}}


def options_of(game: str) -> Options:
    """Every keyword argument of AtariVectorEnv, for a game in snake case, and the `pooled_block` of PoolAllFrames (or None).

    The numbers of environments and threads are not among them: the caller chooses these, and they change no result.
    """
    pooled = FLICKERING.get(game)
    height, width = pooled["screen"] if pooled else (84, 84)
    return {
        "game": game,
        "frameskip": FRAME_SKIP,
        "pooled_block": list(pooled["block"]) if pooled else None,
        "stack_num": STACK,
        "maxpool": True,
        "repeat_action_probability": 0.25,
        "max_num_frames_per_episode": EPISODE_FRAMES,  # counted in emulator frames, whatever its C++ name says
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


# What a user may set, with the smallest and the largest value.
SETTABLE: Mapping[str, tuple[float, float]] = {
    "stack_num": (1, 64),
    "repeat_action_probability": (0, 1),
    "noop_max": (0, 1000),
    "full_action_space": (0, 1),
    "use_fire_reset": (0, 1),
}
NOT_POOLED = ("full_action_space", "use_fire_reset")  # what PoolAllFrames does not have


def chosen(options: Options, settings: Options) -> Options:
    """A user's settings of a game, checked, with the types that its `options` have. Raises WrongOption."""
    found = {}
    for name, value in settings.items():
        if name not in SETTABLE or (options["pooled_block"] and name in NOT_POOLED and value != options[name]):
            known = [one for one in SETTABLE if not (options["pooled_block"] and one in NOT_POOLED)]
            raise WrongOption(f"cannot set {name!r} of {options['game']}: what can be set is {', '.join(known)}")
        kind, (least, most) = type(options[name]), SETTABLE[name]
        number = isinstance(value, int) and kind is float and not isinstance(value, bool)
        if not (number or type(value) is kind) or not least <= value <= most:
            raise WrongOption(
                f"cannot be used: {name} must be like {options[name]}, from {least} to {most}, but is {value!r:.100}"
            )
        found[name] = kind(value)
    return found


def make(options: Options, num_envs: int, threads: int) -> Vector:
    """The vector environment for options from `options_of`."""
    if options["pooled_block"]:
        return PoolAllFrames(options, num_envs)
    known = {name: value for name, value in options.items() if name not in ("backend", "pooled_block")}
    return Threads(num_envs=num_envs, num_threads=threads, **known)


def make_twin(options: Options) -> Vector:
    """One copy of the same game in colour and at full size, for people: observations are [1, 1, H, W, 3].

    With the same seed and actions it plays the same game.
    """
    height, width = _emulator(options["game"]).getScreenDims()
    seen = {"grayscale": False, "stack_num": 1, "img_height": height, "img_width": width}
    return make({**options, **seen, "pooled_block": options["pooled_block"] and (1, 1)}, 1, 1)


@final
class Threads(AtariVectorEnv, StepsInHalves):
    """ale_py's vector environment, whose emulators have C++ threads."""


def _emulator(game: str) -> ALEInterface:
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


# The states in which this process left its emulators, by game and frames of the episode.
_left: dict[tuple[str, bytes], ALEState] = {}
MOST_LEFT = 1_000  # states, of some 8 kB each, plus a byte for each frame played


@final
class _Game:
    """One emulator, a frame at a time.

    Sticky actions and the NOOPs that begin an episode are drawn here, as ale_py draws them. So nothing in the emulator is
    random, and an episode begins by restoring a saved state. Otherwise a new seed would load the game again, which takes as long
    as 200 agent steps, or a reset would restart it, which takes as long as 20.
    """

    def __init__(self, options: Options) -> None:
        self._emulator = _emulator(options["game"])
        self._actions = self._emulator.getMinimalActionSet()
        self._skip = options["frameskip"]
        self._sticky = options["repeat_action_probability"]
        self._noop_max = options["noop_max"]
        # The emulator has played some frames by itself; as in ale_py's vector environment, they do not count for the episode.
        self._last = self._emulator.getEpisodeFrameNumber() + options["max_num_frames_per_episode"]
        self._longest = options["max_num_frames_per_episode"] + self._noop_max
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
        noops = int(self.generator.integers(self._noop_max, endpoint=True))
        self._frames = [NOOP] * noops
        for _ in range(noops):
            self._emulator.act(self._actions[NOOP])
        return self._show() if noops else self.first_frame  # restoring a state does not redraw the screen

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
        for action in self._frames:
            self._emulator.act(self._actions[action])

    def leave(self) -> Array:
        """The frames of the episode so far, [F] action numbers: all that `continue_from` needs, in any process."""
        _left[self._key()] = self._emulator.cloneState()
        while len(_left) > MOST_LEFT:
            del _left[next(iter(_left))]
        return np.array(self._frames, np.uint8)

    def _key(self) -> tuple[str, bytes]:
        return self._game, bytes(self._frames)

    def step(self, action: int) -> tuple[Pixels, float, bool, bool]:
        """One agent step, or less if the episode ends: the pixelwise maximum of its frames, true reward, terminated, truncated.

        The next step overwrites the array.
        """
        self._brightest.fill(0)
        reward = 0.0
        for sticks in self.generator.random(self._skip) < self._sticky:
            played = (self._frames[-1] if self._frames else NOOP) if sticks else action
            self._frames.append(played)
            reward += self._emulator.act(self._actions[played])
            self._show(self._screen)
            np.maximum(self._brightest, self._screen, out=self._brightest)
            terminated = self._emulator.game_over()
            truncated = not terminated and self._emulator.getEpisodeFrameNumber() >= self._last
            if terminated or truncated:
                break
        return self._brightest, reward, terminated, truncated


@final
class PoolAllFrames(VectorEnv[Array, Array, Array], Resumes):
    """Games in which an agent step shows the maximum of all its frames, shrunk by blocks; observations stack the last few steps.

    NEXT_STEP autoreset.
    """

    def __init__(self, options: Options, num_envs: int) -> None:
        self._games = [_Game(options) for _ in range(num_envs)]
        self._block = options["pooled_block"]
        self._stack = options["stack_num"]
        self.num_envs = num_envs
        self.metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}
        frame = block_means(self._games[0].first_frame, self._block)
        self.single_observation_space = Box(0, 255, (self._stack, *frame.shape), np.uint8)
        self.single_action_space = Discrete(self._games[0].num_actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._frames = [np.zeros((num_envs, *frame.shape), np.uint8)] * self._stack  # the latest, oldest first; never handed out
        self._ended = np.zeros(num_envs, bool)  # [B], whether the episode ended in the last step

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Pixels, Info]:
        """Reset every game; the i-th is seeded with seed + i. Raises ValueError for options."""
        if options:
            raise ValueError(f"pooled environments are reset together, without options; got {sorted(options)}")
        if seed is not None:
            for i, game in enumerate(self._games):
                game.generator = np.random.default_rng(seed + i)
        self._ended = np.zeros(self.num_envs, bool)
        everyone = np.ones(self.num_envs, bool)
        return self._pushed([block_means(game.begin(), self._block) for game in self._games], everyone), {}

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
            frames.append(block_means(frame, self._block))
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
