"""Atari through ale_py's own C++ vector environment, with every option set and recorded.

The protocol is Machado 2018, "Revisiting the Arcade Learning Environment": sticky actions with probability 0.25,
five-minute episodes, true scores. Reward clipping and the like are left to the learner. FIRE is not pressed on reset, which would
not be part of that protocol. Games such as Breakout stand still until it is pressed; the agent has to learn that.

Some games draw some sprites only in some of the frames. `ALE/Pacman-v5` draws one ghost per frame in a rotation of four, so an
agent that acts every fourth frame sees the same one or two ghosts all the time. For such games all skipped frames are pooled, not
only the last two, and shrunk once, by blocks of whole pixels: resizing to 84x84 costs more than emulating a frame. ale_py's
vector environment cannot do that, so these games are stepped frame by frame, through ale_py's emulator itself. So are the others
where their episodes are to be left and continued.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import final

import gymnasium
import numpy as np
from ale_py.vector_env import AtariVectorEnv
from gymnasium.envs.registration import EnvSpec as GymnasiumSpec
from gymnasium.vector import AutoresetMode

from rl_pbt.envs.aliases import Array, Options, Pixels, Vector
from rl_pbt.envs.emulators import Emulators, emulator_of
from rl_pbt.envs.spec import DEFAULT_BACKEND, FRAME_STACK, EnvSpec, UnknownEnvironment, WrongOption
from rl_pbt.envs.stepping import StepsInHalves

NAMESPACE = "ALE"  # of the ids whose protocol this is
FRAME_SKIP = 4
FRAMES_PER_S = 60.0
STACK = 4
EPISODE_FRAMES = 18_000  # five minutes at 60 frames a second (Machado 2018)
# Games whose sprites take turns over four frames (Arcade-Learning-Environment issue 709): the size of their screen, and of the
# blocks in it whose means are the pixels of an observation.
FLICKERING = {"pacman": {"screen": (250, 160), "block": (3, 2)}}


def options_of(game: str) -> Options:
    """Every keyword argument of AtariVectorEnv, for a game in snake case, and the `pooled_block` of `Emulators` (or None).

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


def specify(registered: GymnasiumSpec) -> EnvSpec:
    """The game of a registered id. Raises UnknownEnvironment for an old id."""
    game = str(registered.kwargs["game"])
    if registered.namespace != NAMESPACE:
        known = (spec for spec in gymnasium.registry.values() if spec.namespace == NAMESPACE)
        modern = next(spec.id for spec in known if spec.kwargs["game"] == game)
        raise UnknownEnvironment(
            f"{registered.id} is an old id with another frame skip or no sticky actions, so its scores do not compare: "
            f"use {modern}"
        )
    return EnvSpec(
        id=registered.id,
        family="atari",
        frame_skip=FRAME_SKIP,
        max_episode_frames=EPISODE_FRAMES,
        options={"backend": DEFAULT_BACKEND, **options_of(game)},
        resumable=game in FLICKERING,
        reusable=True,  # a seeded reset loads the ROM again
    )


def choose(spec: EnvSpec, settings: Options) -> EnvSpec:
    """The same game with a user's settings, checked, with the types that its options have. Raises WrongOption."""
    found = {}
    for setting, value in settings.items():
        name = "stack_num" if setting == FRAME_STACK else setting
        if name not in SETTABLE:
            raise WrongOption(f"cannot set {name!r} of {spec.options['game']}: what can be set is {', '.join(SETTABLE)}")
        usual, (least, most) = spec.options[name], SETTABLE[name]
        kind = type(usual)
        number = isinstance(value, int) and kind is float and not isinstance(value, bool)
        if not (number or type(value) is kind) or not least <= value <= most:
            raise WrongOption(f"cannot be used: {name} must be like {usual}, from {least} to {most}, but is {value!r:.100}")
        found[name] = kind(value)
    return replace(spec, options={**spec.options, **found})


def make_vector(spec: EnvSpec, num_envs: int, threads: int) -> Vector:
    """The vector environment for a spec from `specify`."""
    return make(spec.options, num_envs, threads, resumable=spec.resumable)


def make(options: Options, num_envs: int, threads: int, *, resumable: bool = False) -> Vector:
    """The vector environment for options from `options_of`; its episodes can be left and continued if it is to be `resumable`."""
    if resumable or options["pooled_block"]:
        return Emulators(options, num_envs)
    known = {name: value for name, value in options.items() if name not in ("backend", "pooled_block")}
    return Threads(num_envs=num_envs, num_threads=threads, **known)


def make_twin(options: Options) -> Vector:
    """One copy of the same game in colour and at full size, for people: observations are [1, 1, H, W, 3].

    With the same seed and actions it plays the same game.
    """
    height, width = emulator_of(options["game"]).getScreenDims()
    seen = {"grayscale": False, "stack_num": 1, "img_height": height, "img_width": width}
    return make({**options, **seen, "pooled_block": options["pooled_block"] and (1, 1)}, 1, 1)


@final
class Threads(AtariVectorEnv, StepsInHalves):
    """ale_py's vector environment, whose emulators have C++ threads."""


@final
class Filmed:
    """A game to watch (`watching.Watched`), and its twin in colour: with the same seed and actions they play the same game.

    ale_py's vector environment shows what the agent sees, small and grey, and cannot draw anything else.
    """

    def __init__(self, spec: EnvSpec) -> None:
        self.env = make_vector(spec, 1, 1)
        self._twin = make_twin(spec.options)
        self.pictures_per_s = FRAMES_PER_S / spec.frame_skip
        self._picture: Pixels = np.zeros((1, 1, 3), np.uint8)

    def reset(self, seed: int) -> Array:
        """Begin the same episode in both."""
        self._picture = self._twin.reset(seed=seed)[0][0, 0]
        observations: Array = self.env.reset(seed=seed)[0]
        return observations

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array]:
        """One step of both."""
        self._picture = self._twin.step(actions)[0][0, 0]
        return self.env.step(actions)[:4]

    def picture(self) -> Pixels:
        """The twin's picture."""
        return self._picture

    def close(self) -> None:
        """Close both."""
        self.env.close()
        self._twin.close()
