"""SMAX, the StarCraft-like battles of the package JaxMARL, as a game of one player, who gives an order to each allied unit.

It contains neither StarCraft nor anything else of Blizzard's: circles that move, shoot and die on an empty square, with types
that are named after StarCraft II's, in the line-ups of the StarCraft Multi-Agent Challenge (Rutherford 2023, "JaxMARL",
arXiv 2311.10090). The enemies are JaxMARL's scripted ones, `HeuristicEnemySMAX`: they walk on until they see a unit, and shoot at
one until it is dead or out of range. The edge of the map kills: a unit that walks off it is dead.

Orders: 0 to 3 move up, right, down or left, 4 stops, and 5 + k shoots the enemy k. An order that a unit cannot obey when it is
given counts as "stop": to shoot a target that is out of range or dead, and any order to a dead unit. Rewards are JaxMARL's: 1 in
total for the health of all enemies, and 1 for a victory. An episode terminates when a side is dead, and is truncated after 100
steps of half a second each.

Deviations from JaxMARL: units have no policies of their own, and the player sees all of them, wherever they are; positions
and cooldowns are scaled; and an order to shoot a target that comes into range only later in the same step is not carried out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec as GymnasiumSpec
from gymnasium.spaces import Box, MultiDiscrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from rl_pbt.envs.aliases import Array, Info, Options, Pixels, Step, VectorStep
from rl_pbt.envs.battles import STOP, UNIT_FEATURES, battles
from rl_pbt.envs.population import Dynamics, Population

LONGEST = 100  # steps, as in JaxMARL
OPTIONS: Options = {"called": "SMAX, StarCraft-like (JaxMARL)", "own_streams": True}
# Numbers of allies and enemies in JaxMARL's scenarios, so that an id can be looked up without loading JAX; a test compares them.
MAPS: Mapping[str, tuple[int, int]] = {
    "3m": (3, 3),
    "2s3z": (5, 5),
    "25m": (25, 25),
    "3s5z": (8, 8),
    "8m": (8, 8),
    "5m_vs_6m": (5, 6),
    "10m_vs_11m": (10, 11),
    "27m_vs_30m": (27, 30),
    "3s5z_vs_3s6z": (8, 9),
    "3s_vs_5z": (3, 5),
    "6h_vs_8z": (6, 8),
    "smacv2_5_units": (5, 5),
    "smacv2_10_units": (10, 10),
    "smacv2_20_units": (20, 20),
}
ENTRY_POINT = f"{__name__}:Battle"
DRAWN: Info = {"render_modes": ["rgb_array"], "render_fps": 8}
SIDE = 384  # pixels, of a picture
COLOURS = ((70, 130, 220), (210, 70, 60))  # allies, enemies
GROUND = (24, 28, 24)


def register_maps() -> None:
    """Register the maps with Gymnasium as `SMAX/<map>-v0`."""
    for map_name in MAPS:
        gymnasium.register(
            f"SMAX/{map_name}-v0",
            entry_point=ENTRY_POINT,
            vector_entry_point=f"{__name__}:ManyBattles",
            max_episode_steps=LONGEST,
            kwargs={"map_name": map_name},
        )


def dynamics_of(registered: GymnasiumSpec) -> Dynamics | None:
    """The dynamics of a registered environment of SMAX; None for others."""
    return battles(registered.kwargs["map_name"]) if registered.entry_point == ENTRY_POINT else None


def spaces_of(map_name: str) -> tuple[Box, MultiDiscrete[np.int64]]:
    """The observation and the action space of a map."""
    allies, enemies = MAPS[map_name]
    orders = STOP + 1 + enemies
    seen = (allies + enemies) * UNIT_FEATURES + allies * orders
    return Box(0.0, 1.0, (seen,), np.float32), MultiDiscrete([orders] * allies)


@final
class Battle(gymnasium.Env[Array, Array]):
    """One battle after another; Gymnasium truncates those that last too long."""

    metadata = DRAWN

    def __init__(self, map_name: str, render_mode: str | None = None) -> None:
        self._allies, enemies = MAPS[map_name]
        self._units = self._allies + enemies
        self.observation_space, self.action_space = spaces_of(map_name)
        self.render_mode = render_mode
        self._dynamics = battles(map_name)

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Array, Info]:
        """Begin a battle. Returns its first observation."""
        super().reset(seed=seed)
        self._states = self._dynamics.opened(self._dynamics.begin(self.np_random, 1))
        return self._seen(), {}

    def step(self, action: Array) -> Step:
        """One step, half a second of the battle."""
        self._states, rewards, over = self._dynamics.step(self._states, np.asarray(action)[None], np.zeros(1, bool))
        return self._seen(), float(rewards[0]), bool(over[0]), False, {}

    def _seen(self) -> Array:
        seen: Array = self._dynamics.observe(self._states)[0]
        return seen

    def render(self) -> Pixels:
        """The map as it is now."""
        return picture(self._seen(), self._allies, self._units)


@final
class ManyBattles(VectorEnv[Array, Array, Array]):
    """Several battles, all stepped in one call; copy i after a reset with seed s plays like a single one reset with s + i."""

    metadata = DRAWN | {"autoreset_mode": AutoresetMode.NEXT_STEP}

    def __init__(self, num_envs: int, map_name: str, max_episode_steps: int = LONGEST, render_mode: str | None = None) -> None:
        self._allies, enemies = MAPS[map_name]
        self._units = self._allies + enemies
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.single_observation_space, self.single_action_space = spaces_of(map_name)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._population = Population(battles(map_name), 1, num_envs, max_episode_steps)
        self._shown: Array = np.zeros(self.observation_space.shape or (), np.float32)

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Array, Info]:
        """Begin a battle in each copy. Returns the first observations."""
        super().reset(seed=seed)
        first = int(self.np_random.integers(2**31)) if seed is None else seed
        self._shown = self._population.reset([first])[0]
        return self._shown.copy(), {}

    def step(self, actions: Array) -> VectorStep:
        """Half a second of each battle; the step after an end begins another one."""
        self._shown, rewards, terminated, truncated = (found[0] for found in self._population.step(actions[None]))
        return self._shown.copy(), rewards, terminated, truncated, {}

    def render(self) -> tuple[Pixels, ...]:
        """The map of each copy as it is now."""
        return tuple(picture(seen, self._allies, self._units) for seen in self._shown)


def picture(seen: Array, allies: int, units: int) -> Pixels:
    """A picture [SIDE, SIDE, 3]: a disc for each living unit, brighter for better health, with the map's y axis upwards."""
    pixels = np.full((SIDE, SIDE, 3), GROUND, np.uint8)
    rows, columns = np.ogrid[:SIDE, :SIDE]
    for unit, (health, x, y, *_) in enumerate(seen[: units * UNIT_FEATURES].reshape(units, UNIT_FEATURES)):
        if health > 0:
            near = (rows - (1 - y) * SIDE) ** 2 + (columns - x * SIDE) ** 2 <= (SIDE // 60) ** 2
            pixels[near] = (0.35 + 0.65 * health) * np.array(COLOURS[unit >= allies])
    return pixels
