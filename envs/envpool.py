"""EnvPool as another way to step the environments that it has: C++ threads in place of Gymnasium's Python.

Ids, shapes of spaces, rewards and episode limits are the same, and Atari follows the protocol of `envs.atari`. But emulators and
engines are EnvPool's own builds with random streams of their own, so a seed plays other episodes than on the default backend.
Only families that are tested against the default backend are served. Differences that remain: an Atari stack begins with the
first frame four times, where ale_py's begins with black; Box2D's observations declare no bounds; and the instruments below
CarRacing's picture are drawn differently.
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol, TypeAlias, final

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from rl_pbt.envs import atari, minigrid
from rl_pbt.envs.aliases import Array, Info, Options, Space, Vector, VectorStep
from rl_pbt.envs.families import missing
from rl_pbt.envs.spec import EnvironmentUnavailable, EnvSpec
from rl_pbt.envs.stepping import StepsInHalves

INSTALL = "pip install -e '.[envpool]'"
# What is set for a whole family; for Atari, every argument of EnvPool that concerns the game.
SERVED: Mapping[str, Options] = {
    "atari": {
        "frame_skip": atari.FRAME_SKIP,
        "stack_num": atari.STACK,
        "repeat_action_probability": 0.25,
        "img_height": 84,
        "img_width": 84,
        "gray_scale": True,
        "use_inter_area_resize": True,
        "noop_max": 30,
        "use_fire_reset": False,
        "episodic_life": False,
        "zero_discount_on_life_loss": False,
        "reward_clip": False,
        "full_action_space": False,
        "mode": -1,  # the game's own
        "difficulty": -1,
    },
    "box2d": {},
    "classic_control": {},
    "minigrid": {},
    "mujoco": {},
}


@final
class EnvPool:
    """EnvPool as a `backends.Backend`."""

    draws = False

    def spec_of(self, spec: EnvSpec) -> EnvSpec:
        """The same environment stepped by EnvPool. Raises EnvironmentUnavailable."""
        if spec.family not in SERVED:
            raise EnvironmentUnavailable(
                f"the backend envpool serves {', '.join(SERVED)}, not {spec.family}: leave it out for {spec.id}"
            )
        if spec.pools_all_frames:
            raise EnvironmentUnavailable(
                f"{spec.id} draws its sprites in turns, and EnvPool pools only the last two of four frames, which hides some of "
                "them for ever: leave the backend envpool out"
            )
        task = spec.id.removeprefix("ALE/")
        if importlib.util.find_spec("envpool") is None:
            raise EnvironmentUnavailable(missing("the backend envpool", "envpool", INSTALL))
        if task not in importlib.import_module("envpool").list_all_envs():
            raise EnvironmentUnavailable(f"EnvPool has no {task}: leave the backend envpool out for {spec.id}")
        config = dict(SERVED[spec.family])
        if spec.max_episode_frames is not None:
            config["max_episode_steps"] = spec.max_episode_frames // spec.frame_skip
        # Reusable, because a seeded reset makes the environments again.
        return replace(spec, options={"backend": "envpool", "task": task, "config": config}, resumable=False, reusable=True)

    def make(self, spec: EnvSpec, num_envs: int, threads: int) -> Vector:
        """The vector environment for a spec from `spec_of`. Raises EnvironmentUnavailable."""
        if importlib.util.find_spec("envpool") is None:
            raise EnvironmentUnavailable(missing(spec.id, "envpool", INSTALL))
        return Pool(spec.options["task"], spec.options["config"], num_envs, threads)

    def make_population(self, spec: EnvSpec, members: int, copies: int) -> None:
        """None: each member has a pool of its own."""


Shown: TypeAlias = Array | dict[str, Array]  # EnvPool's observations


class Threads(Protocol):
    """The pool that EnvPool makes for a task, as far as it is used here."""

    def reset(self) -> tuple[Shown, object]: ...
    def send(self, actions: Array) -> None: ...
    def recv(self) -> tuple[Shown, Array, Array, Array, object]: ...


@final
class Pool(VectorEnv[Array, Array, Array], StepsInHalves):
    """EnvPool is seeded only when it is made, so each seeded reset makes a new pool; copy i gets seed + i.

    EnvPool's autoreset is NEXT_STEP: the step after an end ignores its action, pays 0 and shows a first observation.
    """

    def __init__(self, task: str, config: Options, num_envs: int, threads: int) -> None:
        self._envpool = importlib.import_module("envpool")
        self._task = task
        self._config = {**config, "num_envs": num_envs, "num_threads": threads}
        self._pool: Threads | None = None
        self.num_envs = num_envs
        self.metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}
        with _bounds_may_lose_digits():
            spec = self._envpool.make_spec(task, **self._config)
            observation, action = spec.gymnasium_observation_space, spec.gymnasium_action_space
        self.single_observation_space = _observation_space(observation)
        self.single_action_space = _action_space(action)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Array, Info]:
        """Seed copy i with seed + i, and reset all. Raises ValueError without a seed, and for options."""
        if seed is None or options:
            raise ValueError("EnvPool is reset with a seed and without options")
        self._pool = None  # ends its threads before others begin
        seeds = [seed + copy for copy in range(self.num_envs)]
        with _bounds_may_lose_digits():
            pool: Threads = self._envpool.make_gymnasium(self._task, **self._config, seed=seeds)
            observations, _ = pool.reset()
        self._pool = pool
        return _array(observations), {}

    def step(self, actions: Array) -> VectorStep:
        """One step with actions [B, ...]. The caller owns the arrays returned; the info is empty."""
        self.send(actions)
        return self.recv()

    def send(self, actions: Array) -> None:
        """Begin a step; `recv` waits for the end of it."""
        assert self._pool is not None, "reset first"
        self._pool.send(np.asarray(actions))

    def recv(self) -> VectorStep:
        """Wait for the end of the step that was begun, and return what `step` would."""
        assert self._pool is not None, "reset first"
        observations, rewards, terminated, truncated, _ = self._pool.recv()
        return _array(observations), rewards, terminated, truncated, {}

    def close_extras(self, **kwargs: object) -> None:
        """End the pool's threads."""
        self._pool = None


def _array(observations: Shown) -> Array:
    """Observations as on the default backend; MiniGrid is the only family whose pools return dictionaries."""
    return minigrid.one_hot(observations["image"]) if isinstance(observations, dict) else observations


def _observation_space(space: Space) -> Space:
    if isinstance(space, spaces.Dict):
        return minigrid.one_hot_space((space["image"].shape or ())[:2])
    if not isinstance(space, spaces.Box) or not np.issubdtype(space.dtype, np.floating):
        return space
    # EnvPool writes numeric_limits::min, the smallest positive normal number, for a missing lower bound.
    limits = np.finfo(space.dtype)
    low = np.where(space.low == limits.tiny, -np.inf, space.low)
    high = np.where(space.high == limits.max, np.inf, space.high)
    return spaces.Box(low.astype(space.dtype), high.astype(space.dtype), dtype=space.dtype)


def _action_space(space: Space) -> Space:
    """As in Gymnasium: Boxes are float32."""
    if not isinstance(space, spaces.Box):
        return space
    return spaces.Box(space.low.astype(np.float32), space.high.astype(np.float32), dtype=np.float32)


@contextmanager
def _bounds_may_lose_digits() -> Iterator[None]:
    """EnvPool gives float64 bounds for float32 spaces, about which Gymnasium warns."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*precision lowered by casting.*", category=UserWarning)
        yield
