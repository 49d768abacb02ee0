"""From what people type to exactly one environment."""

import json
import sys
from pathlib import Path

import gymnasium
import pytest

from rl_pbt.envs import UnknownEnvironment, make_vector, resolve

NAMES = {
    "Pacman": "ALE/Pacman-v5",
    "pacman": "ALE/Pacman-v5",
    "MsPacman": "ALE/MsPacman-v5",
    "ms_pacman": "ALE/MsPacman-v5",
    "ms-pacman": "ALE/MsPacman-v5",
    "Breakout": "ALE/Breakout-v5",
    "ALE/Pong-v5": "ALE/Pong-v5",
    "CartPole-v1": "CartPole-v1",
    "cartpole": "CartPole-v1",
    "probe/Discount": "probe/Discount",
}


@pytest.mark.parametrize(("typed", "id_"), NAMES.items())
def test_names_people_type(typed: str, id_: str) -> None:
    assert resolve(typed).id == id_


def test_every_game_is_itself_and_found_by_its_bare_name() -> None:
    ids = [id_ for id_ in gymnasium.registry if id_.startswith("ALE/")]
    assert len(ids) > 100
    for id_ in ids:
        spec = resolve(id_)
        assert spec.id == id_
        if id_ != "ALE/Blackjack-v5":  # Gymnasium has a Blackjack of its own, so the bare name is refused
            assert resolve(gymnasium.registry[id_].name).id == id_
        assert spec.family == "atari" and spec.frame_skip == 4 and json.loads(json.dumps(spec.options)) == spec.options


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("Pacmann", "did you mean ALE/Pacman-v5"),
        ("CartPol-v1", "did you mean CartPole-v1"),
        ("PongNoFrameskip-v4", "use ALE/Pong-v5"),
        ("no_such_module:Env-v0", "cannot import 'no_such_module'"),
        ("xyzzy", "unknown environment 'xyzzy'"),
    ],
)
def test_unknown_names_are_one_line_with_the_way_out(typed: str, says: str) -> None:
    with pytest.raises(UnknownEnvironment) as error:
        resolve(typed)
    assert says in str(error.value) and "\n" not in str(error.value)


def test_a_users_own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_own_package.py").write_text(
        "import gymnasium\n"
        "from gymnasium.envs.classic_control import CartPoleEnv\n"
        "gymnasium.register('MyEnv-v0', entry_point=CartPoleEnv, max_episode_steps=7)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        spec = resolve("my_own_package:MyEnv-v0")
        assert spec.max_episode_frames == 7
        env = make_vector(spec, 2)
        assert env.reset(seed=0)[0].shape == (2, 4)
        env.close()
    finally:
        gymnasium.registry.pop("MyEnv-v0", None)
        sys.modules.pop("my_own_package", None)
