"""The mini-games of StarCraft II, with a stand-in for pysc2: the real one needs a game that users install."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from rl_pbt.envs import EnvironmentUnavailable, families, make_vector, resolve, starcraft2

# Of pysc2 4.0 what the adapter touches: names, numbers of functions, the forms of arguments, layers, who is who.
PYSC2 = {
    "pysc2/__init__.py": "",
    "pysc2/lib/__init__.py": "",
    "pysc2/lib/actions.py": """
import collections, types
FunctionCall = collections.namedtuple("FunctionCall", ["function", "arguments"])
IDS = dict(no_op=0, select_point=2, select_idle_worker=6, select_army=7, Attack_screen=12, Build_Barracks_screen=42,
    Build_Refinery_screen=79, Build_SupplyDepot_screen=91, Harvest_Gather_screen=264, Move_screen=331, Train_Marine_quick=477,
    Train_SCV_quick=490)
FUNCTIONS = types.SimpleNamespace(**{name: types.SimpleNamespace(id=number) for name, number in IDS.items()})
""",
    "pysc2/env/__init__.py": "",
    "pysc2/env/sc2_env.py": """
import collections, types
import numpy as np
from absl import flags
from pysc2.lib import actions
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
        assert flags.FLAGS.is_parsed() and len(players) == 1 and (step_mul, game_steps_per_episode) == (8, 0)
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
    "absl/__init__.py": "",
    "absl/flags.py": """
class Flags:
    parsed = False
    def is_parsed(self): return self.parsed
    def mark_as_parsed(self): self.parsed = True
FLAGS = Flags()
""",
}
BEACON = "StarCraft2/MoveToBeacon-v0"
ORDERS = list(starcraft2.ORDERS)


@pytest.fixture
def game(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A stand-in of the package, and the folder of the game."""
    for name, source in PYSC2.items():
        (tmp_path / "packages" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "packages" / name).write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    for name in [name for name in sys.modules if name.split(".")[0] in ("pysc2", "absl")]:
        monkeypatch.delitem(sys.modules, name)
    folder = tmp_path / "StarCraftII"
    monkeypatch.setenv("SC2PATH", str(folder))
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    (folder / "Versions").mkdir(parents=True)
    (folder / "Maps" / "mini_games").mkdir(parents=True)
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] in ("pysc2", "absl")]:
        del sys.modules[name]
    for map_name in starcraft2.MINI_GAMES:
        gymnasium.registry.pop(f"StarCraft2/{map_name}-v0", None)
    families._registered_families.discard("starcraft2")


def games() -> list:  # type: ignore[type-arg]
    return sys.modules["pysc2.env.sc2_env"].SC2Env.games


def test_names_are_known_where_the_game_is(game: Path) -> None:
    spec = resolve("starcraft2/movetobeacon")
    assert (spec.id, spec.family, spec.frame_skip, spec.copies_are_independent) == (BEACON, "starcraft2", 8, True)


@pytest.mark.parametrize(
    ("absent", "says"),
    [("Versions", "needs StarCraft II, which is not in"), ("Maps/mini_games", "needs the mini-games' maps")],
)
def test_a_game_that_is_not_there_is_one_line(game: Path, absent: str, says: str) -> None:
    (game / absent).rename(game / "elsewhere")
    with pytest.raises(EnvironmentUnavailable, match=says) as error:
        resolve(BEACON)
    assert str(error.value).startswith(BEACON) and str(game) in str(error.value)
    assert "docs/environments.md" in str(error.value) and "\n" not in str(error.value)


def test_the_screen_is_six_planes(game: Path) -> None:
    resolve(BEACON)
    env = gymnasium.make(BEACON).unwrapped
    shown, _ = env.reset(seed=3)
    assert env.observation_space.contains(shown)
    expected = np.zeros((32, 32, 6), np.uint8)
    expected[2, 3, 0] = expected[4, 5, 1] = expected[6, 7, 2] = 255
    expected[2, 3, 4], expected[2, 3, 5], expected[4, 5, 5] = 200, 15, 255
    np.testing.assert_array_equal(shown, expected)
    env.close()


def test_orders_are_calls_and_those_that_are_not_offered_are_none(game: Path) -> None:
    resolve(BEACON)
    env = gymnasium.make(BEACON).unwrapped
    env.reset(seed=3)
    move, army = ORDERS.index("Move_screen"), ORDERS.index("select_army")
    steps = [env.step(np.array(action)) for action in ([move, 5, 1], [army, 0, 0], [move, 5, 1], [0, 9, 9], [move, 15, 15])]
    calls = [(call.function, call.arguments) for call in games()[0].calls]
    assert calls == [(0, []), (7, [[0]]), (331, [[0], [11, 3]]), (0, []), (331, [[0], [31, 31]])]
    assert [reward for _, reward, *_ in steps] == [0, 0, 1, 0, 1]
    assert [(terminated, truncated) for *_, terminated, truncated, _ in steps] == [(False, False)] * 4 + [(True, False)]
    assert steps[1][0][2, 3, 3] == 255, "what is selected is seen"
    env.close()


def test_a_seed_starts_the_game_again_and_none_goes_on_with_it(game: Path) -> None:
    resolve(BEACON)
    env = gymnasium.make(BEACON).unwrapped
    for seed in (3, None, 4):
        env.reset(seed=seed)
    assert [(found.seed, found.map_name, found.open, found.episodes) for found in games()] == [
        (3, "MoveToBeacon", False, 2),
        (4, "MoveToBeacon", True, 1),
    ]
    env.close()
    env.close()
    assert not games()[1].open


def test_each_copy_plays_a_game_of_its_own(game: Path) -> None:
    env = make_vector(resolve(BEACON), 2)
    first, _ = env.reset(seed=1)
    assert first.shape == (2, 32, 32, 6)
    ended = [bool(env.step(np.zeros((2, 3), np.int64))[2].all()) for _ in range(5)]
    env.close()
    assert ended == [False] * 4 + [True]
