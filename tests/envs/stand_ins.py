"""Stand-ins for packages that cannot be installed here, or not without a game: source files, by their paths."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

# Of pysc2_evolved 1.1.1 what the adapter touches: names, numbers of functions, the forms of arguments, layers, who is who.
PYSC2 = {
    "pysc2_evolved/__init__.py": "",
    "pysc2_evolved/lib/__init__.py": "",
    "pysc2_evolved/lib/actions.py": """
import collections, types
FunctionCall = collections.namedtuple("FunctionCall", ["function", "arguments"])
IDS = dict(no_op=0, select_point=2, select_idle_worker=6, select_army=7, Attack_screen=12, Build_Barracks_screen=42,
    Build_Refinery_screen=79, Build_SupplyDepot_screen=91, Harvest_Gather_screen=264, Move_screen=331, Train_Marine_quick=477,
    Train_SCV_quick=490)
FUNCTIONS = types.SimpleNamespace(**{name: types.SimpleNamespace(id=number) for name, number in IDS.items()})
""",
    "pysc2_evolved/env/__init__.py": "",
    "pysc2_evolved/env/sc2_env.py": """
import collections, types
import numpy as np
from pysc2_evolved.lib import actions
Agent = collections.namedtuple("Agent", ["race"])
Race = types.SimpleNamespace(terran=1)
Dimensions = collections.namedtuple("Dimensions", ["screen", "minimap"])
AgentInterfaceFormat = collections.namedtuple("AgentInterfaceFormat", ["feature_dimensions"])
TimeStep = collections.namedtuple("TimeStep", ["kind", "reward", "observation"])
TimeStep.last = lambda self: self.kind == "last"
LENGTH = 5
class SC2Env:
    games = []
    def __init__(self, *, map_name, players, agent_interface_format, step_mul, game_steps_per_episode, random_seed):
        assert len(players) == 1 and (step_mul, game_steps_per_episode) == (8, 0)
        self.size, self.seed, self.map_name = agent_interface_format.feature_dimensions.screen, random_seed, map_name
        self.calls, self.open, self.episodes = [], True, 0
        SC2Env.games.append(self)
    def reset(self):
        self.steps, self.selected = 0, False
        self.episodes += 1
        return (self.seen("first", 0),)
    def step(self, calls):
        (call,) = calls
        assert call.function in self.offered, "not available"
        self.calls.append(call)
        self.steps += 1
        self.selected |= call.function == actions.FUNCTIONS.select_army.id
        moved = call.function == actions.FUNCTIONS.Move_screen.id
        return (self.seen("last" if self.steps == LENGTH else "mid", int(moved)),)
    def seen(self, kind, reward):
        names = ("player_relative", "selected", "unit_hit_points_ratio", "unit_density")
        layers = {name: np.zeros((self.size, self.size), np.int32) for name in names}
        layers["player_relative"][2, 3], layers["player_relative"][4, 5], layers["player_relative"][6, 7] = 1, 3, 4
        layers["selected"][2, 3] = self.selected
        layers["unit_hit_points_ratio"][2, 3], layers["unit_density"][2, 3], layers["unit_density"][4, 5] = 200, 1, 40
        self.offered = {0, 2, 7, 12} | ({331} if self.selected else set())
        screen = types.SimpleNamespace(**layers)
        observation = {"available_actions": np.array(sorted(self.offered)), "feature_screen": screen}
        return TimeStep(kind, reward, observation)
    def close(self):
        assert self.open
        self.open = False
""",
}

# Of dmlab-gym, whose native library its users build.
DMLAB = {
    "deepmind_lab.py": "",
    "dmlab_gym/__init__.py": "import gymnasium\ngymnasium.register('dmlab_gym/lt_chasm-v0', 'dmlab_gym.env:Lab')\n",
    "dmlab_gym/env.py": """
import gymnasium, numpy as np
class Lab(gymnasium.Env):
    engines = 0
    action_space = gymnasium.spaces.Box(-512, 512, (7,), np.intc)
    def __init__(self, renderer, width, height, fps):
        Lab.engines += 1
        assert Lab.engines == 1, "one engine a process"
        self.observation_space = gymnasium.spaces.Box(0, 255, (height, width, 3), np.uint8)
        self.frame = 0
    def close(self):
        Lab.engines -= 1
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.frame = 0
        return np.zeros((72, 96, 3), np.uint8), {}
    def step(self, action):
        self.frame += 1
        return np.full((72, 96, 3), self.frame, np.uint8), float(action[3]), self.frame == 10, False, {}
""",
    "dmlab_gym/wrappers.py": """
import gymnasium, numpy as np
class ActionDiscretize(gymnasium.ActionWrapper):
    def __init__(self, env):
        super().__init__(env)
        self.action_space = gymnasium.spaces.Discrete(9)
    def action(self, action):
        return np.array([0, 0, 0, 1 if action == 0 else 0, 0, 0, 0], np.intc)
""",
}


def written(sources: Mapping[str, str], folder: Path) -> Path:
    """The folder, with the packages in it."""
    for name, source in sources.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(source)
    return folder


def game_in(folder: Path) -> Path:
    """What StarCraft II's folder must have for pysc2's mini-games."""
    game = folder / "StarCraftII"
    (game / "Versions").mkdir(parents=True)
    (game / "Maps" / "mini_games").mkdir(parents=True)
    return game
