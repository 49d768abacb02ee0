"""The Python API on an environment: a run, its winner as an agent, its schedule, and what cannot be, in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import rl_pbt

SMALL: dict[str, Any] = {
    "population": 2, "frames": 800, "interval": 400, "group_size": 1, "eval_episodes": 2, "test_episodes": 2, "workers": 1,
    "quiet": True,
}  # fmt: skip


@pytest.fixture(scope="module", params=["a2c", "sb3:ppo"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> rl_pbt.Run:
    options = {"envs_per_member": 4} if request.param == "a2c" else {"n_steps": 25, "n_envs": 4}
    out = tmp_path_factory.mktemp("runs") / "run"
    return rl_pbt.bench("CartPole-v1", agent=request.param, agent_options=options, out=out, seeds=range(2), **SMALL)


def played(agent: Any, seed: int, *, deterministic: bool) -> float:
    """The return of an episode in Gymnasium's own single environment."""
    with gymnasium.make("CartPole-v1") as env:
        observation, _ = env.reset(seed=seed)
        agent.reset(seed)
        total, ended = 0.0, False
        while not ended:
            observation, reward, terminated, truncated, _ = env.step(agent.act(observation, deterministic=deterministic))
            total, ended = total + float(reward), terminated or truncated
    return total


@pytest.mark.parametrize("deterministic", [False, True])
def test_a_winner_plays_in_an_environment_of_gymnasiums(run: rl_pbt.Run, deterministic: bool) -> None:
    agent = rl_pbt.load(run.folder).winner()
    first, again = (played(agent, 3, deterministic=deterministic) for _ in range(2))
    assert first == again > 0


def test_a_run_tells_its_schedule_and_its_verdict(run: rl_pbt.Run) -> None:
    found = rl_pbt.load(str(run.folder))
    assert "pbt" in found.verdict and found.summary.to_json() == run.summary.to_json()
    schedule = found.schedule("pbt", 1)
    assert [row["generation"] for row in schedule] == list(range(len(schedule))) and schedule[-1]["learning_rate"] > 0
    assert found.report() == run.folder / "summary.md"
    assert repr(found) == f"rl_pbt.load({str(run.folder)!r})"


def test_a_finished_run_is_opened_and_another_configuration_refused(run: rl_pbt.Run) -> None:
    before = (run.folder / "pbt" / "seed-0" / "ledger.jsonl").read_bytes()
    assert rl_pbt.bench(resume=run.folder, quiet=True).folder == run.folder
    with pytest.raises(rl_pbt.UserError, match="another configuration"):
        rl_pbt.bench(resume=run.folder, population=3)
    assert (run.folder / "pbt" / "seed-0" / "ledger.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda out: rl_pbt.bench("Pacmann", out=out), "did you mean ALE/Pacman-v5"),
        (lambda out: rl_pbt.bench("CartPole-v1", population=1, out=out), r"^population must be 2 or more"),
        (lambda out: rl_pbt.bench("CartPole-v1", poplation=4, out=out), "did you mean 'population'"),
        (lambda out: rl_pbt.bench("CartPole-v1", workers=0, out=out), r"^workers must be 1 or more"),
        (lambda out: rl_pbt.tune("quadratik", {}, out=out), "did you mean 'quadratic'"),
        (lambda out: rl_pbt.tune(dict, {"lr": "log:1:2"}, budget=9, out=out), "dict lacks set_hypers"),
        (rl_pbt.load, "is not a run"),
    ],
)
def test_what_cannot_be_is_one_line(call: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(rl_pbt.UserError, match=says) as error:
        call(tmp_path / "run")
    assert "\n" not in str(error.value) and "--" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_likeliest_actions_need_no_random_numbers(run: rl_pbt.Run) -> None:
    agent = run.winner("pbt", 0)
    observation = np.zeros(4, np.float32)
    chosen = set()
    for seed in range(20):
        agent.reset(seed)
        chosen.add(int(agent.act(observation, deterministic=True)))
    assert len(chosen) == 1


def test_the_manifest_says_how_a_script_or_a_module_was_started(tmp_path: Path) -> None:
    """Without the folder that it lies in, which says something of a machine and nothing of the run."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "study.py").write_text("from rl_pbt.api import _script\nprint(_script())\n")
    for words in (["-m", "mine.study", "--now"], ["mine/study.py", "--now"], [str(tmp_path / "mine" / "study.py"), "--now"]):
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True, cwd=tmp_path)
        assert done.stdout == f"python {'-m mine.study' if words[0] == '-m' else 'mine/study.py'} --now\n"
