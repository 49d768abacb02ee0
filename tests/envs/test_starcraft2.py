"""The mini-games of StarCraft II, with a stand-in for pysc2_evolved: the real one needs a game that users install."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from rl_pbt.envs import EnvironmentUnavailable, families, make_vector, resolve, starcraft2
from tests.envs.stand_ins import PYSC2, game_in, written

BEACON = "StarCraft2/MoveToBeacon-v0"
ORDERS = list(starcraft2.ORDERS)


@pytest.fixture
def game(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A stand-in of the package, and the folder of the game."""
    monkeypatch.syspath_prepend(str(written(PYSC2, tmp_path / "packages")))
    for name in [name for name in sys.modules if name.split(".")[0] == starcraft2.PACKAGE]:
        monkeypatch.delitem(sys.modules, name)
    folder = game_in(tmp_path)
    monkeypatch.setenv("SC2PATH", str(folder))
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == starcraft2.PACKAGE]:
        del sys.modules[name]
    for map_name in starcraft2.MINI_GAMES:
        gymnasium.registry.pop(f"StarCraft2/{map_name}-v0", None)
    families._registered_families.discard("starcraft2")


def games() -> list:  # type: ignore[type-arg]
    return sys.modules["pysc2_evolved.env.sc2_env"].SC2Env.games


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
