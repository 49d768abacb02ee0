"""The mini-games of StarCraft II through the package pysc2_evolved, for users who have the game; tested only with a stand-in.

pysc2 is from Vinyals 2017, "StarCraft II: A New Challenge for Reinforcement Learning" (arXiv 1708.04782). Its last version, 4.0,
cannot be imported by Python 3.11 or newer; pysc2_evolved is the same library, maintained for these. Its agents choose among
hundreds of functions, each with arguments of its own, and see 38 layers of screen and minimap. The interface here is smaller, so
that any agent can play:

* an observation is the screen alone, 32 x 32, as six planes: own units, neutral ones, enemies, what is selected, health, and how
  many units share a pixel;
* an action is one of twelve orders and a place on a grid of 16 x 16, which orders without a place ignore. An order that the game
  does not offer at that moment is "do nothing".

A step is eight loops of the game, pysc2's default for these maps, and rewards are differences of the map's own score. The game
sets its seed only when it starts, so a seeded reset restarts it, which takes seconds. A map ends an episode at its own time limit
without reporting that as the reason, so these ends count as terminations.
"""

from __future__ import annotations

import importlib
import os
import platform
from pathlib import Path
from typing import Any, final

import gymnasium
import numpy as np
from gymnasium.spaces import Box, MultiDiscrete

from rl_pbt.envs.aliases import Array, Info, Options, Pixels, Step

FRAME_SKIP = 8  # loops of the game
SCREEN, GRID = 32, 16
MINI_GAMES = (
    "BuildMarines",
    "CollectMineralsAndGas",
    "CollectMineralShards",
    "DefeatRoaches",
    "DefeatZerglingsAndBanelings",
    "FindAndDefeatZerglings",
    "MoveToBeacon",
)
# pysc2's functions, and whether they take a place. Their other argument is always 0: now, not queued; select, not add.
ORDERS = {
    "no_op": False,
    "select_army": False,
    "select_idle_worker": False,
    "select_point": True,
    "Move_screen": True,
    "Attack_screen": True,
    "Harvest_Gather_screen": True,
    "Train_SCV_quick": False,
    "Train_Marine_quick": False,
    "Build_SupplyDepot_screen": True,
    "Build_Barracks_screen": True,
    "Build_Refinery_screen": True,
}
OWN, NEUTRAL, ENEMY = 1, 3, 4  # pysc2's features.PlayerRelative
CROWDED = 16  # so many units on a pixel are shown as white
PACKAGE = "pysc2_evolved"
INSTALL = f"pip install {PACKAGE}, and the game with its mini-games: docs/environments.md"
OPTIONS: Options = {"screen": SCREEN, "grid": GRID, "orders": list(ORDERS), "loops_per_step": FRAME_SKIP}


def register_mini_games() -> None:
    """Register them with Gymnasium as `StarCraft2/<map>-v0`."""
    for map_name in MINI_GAMES:
        gymnasium.register(f"StarCraft2/{map_name}-v0", entry_point=f"{__name__}:MiniGame", kwargs={"map_name": map_name})


def lacks() -> str:
    """What is missing of the game, as far as that can be seen without the package; "" if nothing."""
    if platform.system() != "Linux":  # on other systems the package has its own ways of finding the game
        return ""
    folder = Path(os.environ.get("SC2PATH", "~/StarCraftII")).expanduser()
    maps = folder / "Maps" / "mini_games"
    if not (folder / "Versions").is_dir():
        way_out = "unpack Blizzard's Linux package there, or set SC2PATH to where it is (docs/environments.md)"
        return f"needs StarCraft II, which is not in {folder}: {way_out}"
    if not maps.is_dir():
        return f"needs the mini-games' maps, which are not in {maps}: unpack pysc2's mini_games.zip there (docs/environments.md)"
    return ""


@final
class MiniGame(gymnasium.Env[Pixels, Array]):
    """One game, a program that pysc2 starts at the first reset."""

    observation_space = Box(0, 255, (SCREEN, SCREEN, 6), np.uint8)

    def __init__(self, map_name: str) -> None:
        self.action_space = MultiDiscrete([len(ORDERS), GRID, GRID])
        self._map_name = map_name
        self._game: Any = None
        self._offered: frozenset[int] = frozenset()

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Pixels, Info]:
        """The screen at the start of an episode."""
        super().reset(seed=seed)
        if seed is not None or self._game is None:
            self.close()
            self._game = started(self._map_name, seed)
        return self._seen(self._game.reset()[0]), {}

    def step(self, action: Array) -> Step:
        """One agent step, eight loops of the game."""
        timestep = self._game.step([self._call(*(int(part) for part in action))])[0]
        return self._seen(timestep), float(timestep.reward), bool(timestep.last()), False, {}

    def _call(self, order: int, column: int, row: int) -> Any:
        """pysc2's function call for an action."""
        actions = importlib.import_module(f"{PACKAGE}.lib.actions")
        name = list(ORDERS)[order]
        number = int(getattr(actions.FUNCTIONS, name).id)
        if order == 0 or number not in self._offered:
            return actions.FunctionCall(int(actions.FUNCTIONS.no_op.id), [])
        cell = SCREEN // GRID
        place = [[column * cell + cell // 2, row * cell + cell // 2]] if ORDERS[name] else []
        return actions.FunctionCall(number, [[0], *place])

    def _seen(self, timestep: Any) -> Pixels:
        """The observation, [SCREEN, SCREEN, 6]; also notes which functions the game offers now."""
        self._offered = frozenset(int(number) for number in timestep.observation["available_actions"])
        screen = timestep.observation["feature_screen"]
        whose = np.asarray(screen.player_relative)
        planes = [255 * (whose == player) for player in (OWN, NEUTRAL, ENEMY)]
        planes += [255 * (np.asarray(screen.selected) > 0), np.asarray(screen.unit_hit_points_ratio)]
        planes.append(np.asarray(screen.unit_density).astype(np.int64) * 255 // CROWDED)
        return np.stack([np.clip(plane, 0, 255) for plane in planes], -1).astype(np.uint8)

    def close(self) -> None:
        """End the game's program."""
        if self._game is not None:
            self._game.close()
            self._game = None


def started(map_name: str, seed: int | None) -> Any:
    """pysc2's environment for one player, with its game running."""
    sc2_env = importlib.import_module(f"{PACKAGE}.env.sc2_env")
    size = sc2_env.Dimensions(screen=SCREEN, minimap=SCREEN)
    return sc2_env.SC2Env(
        map_name=map_name,
        players=[sc2_env.Agent(sc2_env.Race.terran)],
        agent_interface_format=sc2_env.AgentInterfaceFormat(feature_dimensions=size),
        step_mul=FRAME_SKIP,
        game_steps_per_episode=0,  # the map ends it
        random_seed=seed,
    )
