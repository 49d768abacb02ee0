"""An exported policy acts as the winner does, without this project, and says what it expects."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rl_pbt
from rl_pbt.cli.main import main
from rl_pbt.tasks.on_environments import words
from rl_pbt.tasks.rl import exporting
from rl_pbt.tasks.rl.winner import Winner

OBSERVATIONS = 1000
SMALL: dict[str, Any] = {
    "methods": ["pbt"], "population": 2, "seeds": [0], "eval_episodes": 1, "test_episodes": 1, "workers": 1, "quiet": True,
    "executor": "inline",
}  # fmt: skip
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "discrete": ("CartPole-v1", {"frames": 3000, "interval": 1000, "agent_options": {"envs_per_member": 4}}),
    "narrow": ("CartPole-v1", {"frames": 3000, "interval": 1000, "agent_options": {"envs_per_member": 4, "hidden": [32]}}),
    "uneven": ("CartPole-v1", {"frames": 3000, "interval": 1000, "agent_options": {"envs_per_member": 4, "hidden": [100, 48]}}),
    "continuous": (
        "Pendulum-v1",
        {
            "agent": "ppo",
            "frames": 4000,
            "interval": 2000,
            "agent_options": {"envs_per_member": 4, "normalise_observations": True},
        },
    ),
    "picture": (
        "ALE/Pong-v5",
        {"frames": 2400, "interval": 1200, "max_episode_frames": 200, "agent_options": {"envs_per_member": 2}},
    ),
    "recurrent": (
        "CartPole-v1",
        {"frames": 3000, "interval": 1000, "agent_options": {"envs_per_member": 4, "core": "lstm", "core_size": 16}},
    ),
}
Acts = Callable[..., Any]  # inputs by name -> outputs


pytestmark = pytest.mark.usefixtures("without_pages")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], rl_pbt.Run]:
    made: dict[str, rl_pbt.Run] = {}

    def run(case: str) -> rl_pbt.Run:
        if case not in made:
            env, options = CASES[case]
            made[case] = rl_pbt.bench(env, out=tmp_path_factory.mktemp(case) / "run", **SMALL, **options)
        return made[case]

    return run


def opened(path: Path) -> tuple[Acts, dict[str, str]]:
    """What the file does, and what it says, by nothing but the library of its format."""
    if path.suffix == ".onnx":
        runtime = pytest.importorskip("onnxruntime", reason="the extra is not installed: pip install -e '.[export]'")
        session = runtime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
        told = session.get_modelmeta().custom_metadata_map
        return lambda **given: session.run(None, given), {name.removeprefix("rl_pbt."): text for name, text in told.items()}
    files = {exporting.METADATA: ""}
    with path.open("rb") as file:
        module = torch.export.load(file, extra_files=files).module()

    def acts(**given: np.ndarray) -> list[np.ndarray]:
        outputs = module(*map(torch.from_numpy, given.values()))
        return [output.numpy() for output in (outputs if isinstance(outputs, tuple) else (outputs,))]

    return acts, json.loads(files[exporting.METADATA])


def exported(run: rl_pbt.Run, folder: Path, ending: str) -> Path:
    if ending == ".onnx" and (find_spec("onnx") is None or find_spec("onnxscript") is None):
        pytest.skip("the extra is not installed: pip install -e '.[export]'")
    return run.export(folder / f"winner{ending}")


def observations_of(winner: Winner) -> np.ndarray:
    """Drawn from the space that the winner sees; of what has no bounds, as normal numbers.

    Pictures differ in how many of their pixels are black, or they would all look like the same grey to a young policy.
    """
    space = winner.observation_space
    space.seed(0)
    drawn = np.stack([space.sample() for _ in range(OBSERVATIONS)])
    if drawn.ndim < 4:
        return drawn
    rng = np.random.default_rng(0)
    return drawn * (rng.random(drawn.shape, np.float32) < 0.5 * rng.random((OBSERVATIONS, 1, 1, 1)))


@pytest.mark.parametrize("ending", [".onnx", ".pt"])
@pytest.mark.parametrize("case", ["discrete", "narrow", "uneven", "continuous", "picture"])
def test_an_exported_policy_acts_equally_on_a_thousand_observations(
    runs: Callable[[str], rl_pbt.Run], tmp_path: Path, case: str, ending: str
) -> None:
    run = runs(case)
    acts, told = opened(exported(run, tmp_path, ending))
    winner = run.winner()
    observations = observations_of(winner)
    expected = np.stack([winner.act(observation, deterministic=True) for observation in observations])
    assert len(np.unique(expected)) > 1, "a constant policy shows nothing"
    (actions,) = acts(observation=observations)
    assert actions.dtype == expected.dtype and actions.shape == expected.shape
    if case == "continuous":
        np.testing.assert_allclose(actions, expected, atol=1e-5)
    else:
        np.testing.assert_array_equal(actions, expected)
    (one,) = acts(observation=observations[:1])
    np.testing.assert_allclose(one, expected[:1], atol=1e-5)
    assert told["environment"] == CASES[case][0] and told["method"] == "pbt" and told["state"] == "none"
    assert told["frame_skip"] == str(run.config.task_options["frame_skip"])
    assert json.loads(told["environment_options"]) == run.config.task_options["env_options"]


@pytest.mark.parametrize("ending", [".onnx", ".pt"])
def test_an_exported_memory_acts_equally_over_an_episode(runs: Callable[[str], rl_pbt.Run], tmp_path: Path, ending: str) -> None:
    run = runs("recurrent")
    acts, told = opened(exported(run, tmp_path, ending))
    winner = run.winner()
    observations = observations_of(winner)
    assert told["state"].startswith("[batch, 32] float32")
    expected, actions = [], []
    for episode in range(OBSERVATIONS // 50):
        winner.reset()
        state = np.zeros((1, 32), np.float32)
        for observation in observations[episode * 50 : (episode + 1) * 50]:
            expected.append(winner.act(observation, deterministic=True))
            action, state = acts(observation=observation[None], state=state)
            actions.append(int(action[0]))
    assert len(set(expected)) > 1 and actions == expected


def test_what_is_exported_needs_nothing_of_this_project(runs: Callable[[str], rl_pbt.Run], tmp_path: Path) -> None:
    path = runs("discrete").export(tmp_path / "winner.pt2")
    script = (
        "import sys, torch\n"
        "sys.modules['rl_pbt'] = None\n"
        f"print(torch.export.load({str(path)!r}).module()(torch.zeros(3, 4)).shape)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("torch.Size([3])\n", "")


@pytest.mark.parametrize("ending", [".onnx", ".pt"])
def test_the_same_winner_gives_the_same_bytes(runs: Callable[[str], rl_pbt.Run], tmp_path: Path, ending: str) -> None:
    first, again = (exported(runs("discrete"), tmp_path / name, ending).read_bytes() for name in ("first", "again"))
    assert first == again


def test_the_command_exports_the_winner_that_is_named(
    runs: Callable[[str], rl_pbt.Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as status:
        main(["export", str(runs("discrete").folder), str(tmp_path / "winner.pt"), "--method", "pbt", "--seed", "0"])
    told = capsys.readouterr()
    assert status.value.code == 0 and told.out == f"winner of pbt, seed 0: {tmp_path / 'winner.pt'}\n" and not told.err
    assert opened(tmp_path / "winner.pt")[1]["seed"] == "0"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["winner.h5"], "ends in .onnx, .pt or .pt2"),
        (["winner.pt", "--methd", "pbt"], "did you mean '--method'"),
        (["winner.pt", "--seed", "7"], "--seed 7 is not a seed of this run"),
        ([], "the following arguments are required: FILE"),
    ],
)
def test_what_cannot_be_exported_is_one_line(
    runs: Callable[[str], rl_pbt.Run], tmp_path: Path, words: list[str], says: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as status:
        main(["export", str(runs("discrete").folder), *words])
    error = capsys.readouterr().err
    assert status.value.code == 2 and error.startswith("error: ") and error.count("\n") == 1 and says in error
    assert list(tmp_path.iterdir()) == []


def test_onnx_that_is_not_installed_is_one_line(
    runs: Callable[[str], rl_pbt.Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words, "find_spec", lambda name: None)
    with pytest.raises(rl_pbt.UserError, match=r"needs the package onnx, .* pip install -e '.\[export\]', or export to .pt"):
        runs("discrete").export(tmp_path / "winner.onnx")


def test_other_tasks_say_how_their_winners_are_kept(tmp_path: Path) -> None:
    toy = rl_pbt.tune("quadratic", {}, budget=4, interval=2, out=tmp_path / "toy", quiet=True, executor="inline")
    with pytest.raises(rl_pbt.UserError, match="the quadratic has no policy"):
        toy.export(tmp_path / "winner.pt")
    options = {"n_steps": 25, "n_envs": 4}
    agent = rl_pbt.bench(
        "CartPole-v1", agent="sb3:ppo", out=tmp_path / "sb3", frames=400, interval=200, agent_options=options, **SMALL
    )
    with pytest.raises(rl_pbt.UserError, match=r"winner\(\).model.save\(FILE\)"):
        agent.export(tmp_path / "winner.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        agent.winner().model.save(tmp_path / "winner.zip")  # as the message says
    assert (tmp_path / "winner.zip").exists()
