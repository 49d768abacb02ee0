"""Names of every family, what is recorded of them, and what is said where a package is absent (absence is simulated)."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from rl_pbt.envs import FAMILIES, EnvironmentUnavailable, UnknownEnvironment, families, make_vector, resolve
from rl_pbt.envs.families import family_of_name
from rl_pbt.envs.names import plain
from tests.envs.stand_ins import DMLAB, written

TYPED = {  # name -> id, family, package without which it cannot be
    "lunarlander": ("LunarLander-v3", "box2d", "Box2D"),
    "LunarLander-v3": ("LunarLander-v3", "box2d", "Box2D"),
    "halfcheetah": ("HalfCheetah-v5", "mujoco", "mujoco"),
    "minatar/breakout": ("MinAtar/Breakout-v1", "minatar", "minatar"),
    "MinAtar/Space_Invaders": ("MinAtar/SpaceInvaders-v1", "minatar", "minatar"),
    "MiniGrid-DoorKey-5x5-v0": ("MiniGrid-DoorKey-5x5-v0", "minigrid", "minigrid"),
    "minigrid doorkey 5x5": ("MiniGrid-DoorKey-5x5-v0", "minigrid", "minigrid"),
    "BabyAI-GoToRedBall-v0": ("BabyAI-GoToRedBall-v0", "minigrid", "minigrid"),
    "VizdoomBasic-v1": ("VizdoomBasic-v1", "vizdoom", "vizdoom"),
    "vizdoom_basic": ("VizdoomBasic-v1", "vizdoom", "vizdoom"),
    "dmlab_gym/lt_chasm-v0": ("dmlab_gym/lt_chasm-v0", "dmlab", "dmlab_gym"),
    "SMAX/3m-v0": ("SMAX/3m-v0", "smax", "jaxmarl"),
    "smax 5m vs 6m": ("SMAX/5m_vs_6m-v0", "smax", "jaxmarl"),
    "StarCraft2/MoveToBeacon-v0": ("StarCraft2/MoveToBeacon-v0", "starcraft2", "pysc2_evolved"),
    "starcraft2 defeat roaches": ("StarCraft2/DefeatRoaches-v0", "starcraft2", "pysc2_evolved"),
    "FrozenLake": ("FrozenLake-v1", "toy_text", None),
    "cartpole": ("CartPole-v1", "classic_control", None),
    "probe/Value": ("probe/Value", "probe", None),
}

EXTRAS = {"smax": "starcraft"}  # where the extra has not the name of the family


@pytest.mark.parametrize("typed", TYPED)
def test_names_people_type(typed: str) -> None:
    id_, family, package = TYPED[typed]
    if package is not None:
        pytest.importorskip(package)
    spec = resolve(typed)
    assert (spec.id, spec.family, spec.backend) == (id_, family, "gymnasium")
    assert spec.frame_skip == FAMILIES[family].frame_skip
    assert json.loads(json.dumps(spec.options)) == spec.options


@pytest.mark.parametrize(
    ("typed", "package", "says"),
    [
        ("SMAX/3m_vs_4m", None, "did you mean SMAX/"),
        ("StarCraft2/MoveToBacon-v0", None, "did you mean StarCraft2/MoveToBeacon-v0"),
        ("StarCraft2/Foo-v0", None, "did you mean StarCraft2/"),
        ("MinAtar/Brekout", "minatar", "did you mean MinAtar/Breakout-v1"),
        ("MiniGrid-DorKey-5x5-v0", "minigrid", "did you mean MiniGrid-DoorKey-5x5-v0"),
        ("VizdoomBasic-v0", "vizdoom", "did you mean VizdoomBasic-v1"),
        ("LunarLandr", None, "did you mean LunarLander-v3"),
        ("HalfCheeta-v5", None, "did you mean HalfCheetah-v5"),
    ],
)
def test_near_names_of_the_same_family(typed: str, package: str | None, says: str) -> None:
    if package is not None:
        pytest.importorskip(package)
    with pytest.raises(UnknownEnvironment, match=says):
        resolve(typed)


@pytest.mark.parametrize(("typed", "wanted"), [(typed, wanted) for typed, wanted in TYPED.items() if wanted[2]])
def test_an_absent_package_is_one_line_that_ends_with_the_command(
    typed: str, wanted: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, family, package = wanted
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    with pytest.raises(EnvironmentUnavailable) as error:
        resolve(typed)
    said = str(error.value)
    assert plain(said).startswith(plain(typed))
    assert repr(package) in said and said.endswith(f": {FAMILIES[family].install}") and "\n" not in said
    assert family in ("dmlab", "starcraft2") or said.endswith(f"pip install -e '.[{EXTRAS.get(family, family)}]'")


def test_a_package_that_goes_between_resolving_and_making_is_said_too(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("Box2D")
    spec = resolve("LunarLander-v3")
    monkeypatch.setitem(sys.modules, "Box2D", None)
    with pytest.raises(EnvironmentUnavailable, match=r"LunarLander-v3 needs .*pip install -e '\.\[box2d\]'$"):
        make_vector(spec, 1)


@pytest.mark.filterwarnings("ignore:.*is out of date:DeprecationWarning")
def test_what_only_the_environment_itself_knows_to_need_is_said_in_one_line() -> None:
    with pytest.raises(EnvironmentUnavailable) as error:
        make_vector(resolve("HalfCheetah-v3"), 1)  # for a binding of MuJoCo that no longer exists
    assert str(error.value).startswith("HalfCheetah-v3 cannot be made here") and "\n" not in str(error.value)


def test_an_absent_envpool_is_one_line_that_ends_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "envpool", None)
    with pytest.raises(EnvironmentUnavailable) as error:
        resolve("Pong", backend="envpool")
    assert str(error.value).endswith(": pip install -e '.[envpool]'") and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Pacman", "ALE/Pacman-v5 draws its sprites in turns"),
        ("FrozenLake-v1", "serves atari, box2d, classic_control, minigrid, mujoco, not toy_text"),
        ("probe/Value", "not probe"),
        ("CartPole-v0", None),
    ],
)
def test_what_envpool_does_not_serve_is_one_line(name: str, says: str | None) -> None:
    if says is None:
        pytest.importorskip("envpool")
        assert resolve(name, backend="envpool").options["task"] == "CartPole-v0"
        return
    with pytest.raises(EnvironmentUnavailable) as error:
        resolve(name, backend="envpool")
    assert says in str(error.value) and "\n" not in str(error.value)


def test_an_id_that_envpool_does_not_know_is_one_line() -> None:
    pytest.importorskip("envpool")
    with pytest.raises(EnvironmentUnavailable, match=r"^EnvPool has no \S+: leave the backend envpool out for"):
        resolve("ALE/TicTacToe3D-v5", backend="envpool")


def test_an_unknown_backend_lists_those_there_are() -> None:
    with pytest.raises(UnknownEnvironment, match="gymnasium, envpool"):
        resolve("Pong", backend="jax")


def test_importing_envs_imports_no_family_and_a_name_only_its_own() -> None:
    """In a process of its own: pandas, which MinAtar imports, alone takes longer than all of envs."""
    packages = [family.needs[0] for family in FAMILIES.values() if family.needs] + ["envpool"]
    code = (
        "import sys; from envs import resolve; resolve('Pong'); resolve('cartpole'); "
        f"print([name for name in {packages} if name in sys.modules])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
    assert family_of_name("Breakout") is None and family_of_name("MiniGrid-Fetch") == "minigrid"


def test_deepmind_lab_runs_one_engine_a_process_and_skips_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in with the interface of dmlab-gym: the real one is built by its users."""
    monkeypatch.syspath_prepend(str(written(DMLAB, tmp_path)))
    try:
        spec = resolve("dmlab_gym/lt_chasm")
        assert spec.frame_skip == 4 and spec.copies_are_independent
        env = make_vector(spec, 2)
        assert env.single_action_space == gymnasium.spaces.Discrete(9)
        env.reset(seed=0)
        steps = [env.step(np.array([0, 1])) for _ in range(4)]
        env.close()
        assert [int(shown[0, 0, 0, 0]) for shown, *_ in steps] == [4, 8, 10, 0]
        assert [rewards.tolist() for _, rewards, *_ in steps] == [[4, 0], [4, 0], [2, 0], [0, 0]]
        assert [bool(terminated.all()) for _, _, terminated, *_ in steps] == [False, False, True, False]
    finally:
        gymnasium.registry.pop("dmlab_gym/lt_chasm-v0", None)
        from rl_pbt.envs import families

        families._registered_families.discard("dmlab")
        for name in [name for name in sys.modules if name.split(".")[0] in ("dmlab_gym", "deepmind_lab")]:
            del sys.modules[name]


def test_minigrid_cells_are_those_of_the_package() -> None:
    constants = pytest.importorskip("minigrid.core.constants")
    from rl_pbt.envs import minigrid

    assert (
        tuple(len(kinds) for kinds in (constants.OBJECT_TO_IDX, constants.COLOR_TO_IDX, constants.STATE_TO_IDX)) == minigrid.CELL
    )
    cells = np.array([[[2, 5, 0], [4, 1, 2]]], np.uint8)
    one_hot = minigrid.one_hot(cells)
    assert one_hot.shape == (1, 2, minigrid.CHANNELS) and (one_hot.sum(-1) == 3).all()
    assert np.flatnonzero(one_hot[0, 1]).tolist() == [4, 11 + 1, 17 + 2]


def test_vizdoom_leaves_nothing_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("vizdoom")
    monkeypatch.chdir(tmp_path)
    env = make_vector(resolve("VizdoomBasic-v1"), 1)
    first, _ = env.reset(seed=0)
    env.close()
    assert first.shape == (1, 60, 80, 3) and 20 < first.mean() < 200 and first.std() > 10
    assert list(tmp_path.iterdir()) == []


def test_no_code_of_environments_asks_which_family_it_is() -> None:
    """What differs from family to family is a field of `Family`."""
    names = {*map(repr, FAMILIES)}
    asked = [
        f"{path.name}:{node.lineno}"
        for path in sorted(Path(families.__file__).parent.glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Compare) and names & set(map(ast.unparse, (node.left, *node.comparators)))
    ]
    assert asked == []
