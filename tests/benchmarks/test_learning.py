"""The evidence scripts, on a handful of frames: they run, and what they print is what was measured."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import learning, measuring, parity
from envs import FAMILIES
from rl_pbt.defaults import DEFAULTS


def test_every_family_has_defaults() -> None:
    assert set(DEFAULTS) == set(FAMILIES)


def test_an_agent_with_a_memory_has_learning_rates_of_its_own() -> None:
    cases = {case.env: case for case in learning.CASES}
    for env, rates in {"LunarLander-v3": (2e-3, 1e-3), "Acrobot-v1": (2e-3, 2e-3)}.items():
        configs = [learning.configuration(cases[env], agent) for agent in ("impala", "impala-lstm")]
        assert tuple(config.hypers["learning_rate"] for config in configs) == rates
    said = learning.configuration(cases["LunarLander-v3"], "impala-lstm", ("--search", "learning_rate=0.5"))
    assert said.hypers["learning_rate"] == 0.5


def test_the_learning_table_is_made_of_real_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "learning.json"
    learning.main(
        [
            "--env",
            "CartPole-v1",
            "--agent",
            "a2c",
            "impala-lstm",
            "--seeds",
            "2",
            "--share",
            "0.008",
            "--workers",
            "1",
            "--out",
            str(out),
        ]
    )
    report = json.loads(out.read_text(encoding="utf-8"))
    assert set(report["results"]["CartPole-v1"]) == {"a2c", "impala-lstm"}
    for one in report["results"]["CartPole-v1"].values():
        assert "commit" in one and one["frames"] == pytest.approx(4000, abs=200) and len(one["mean_test_returns"]) == 2
        assert 5 < one["random_policy"] < 60 and one["solved"] == 475
        assert len(set(one["mean_test_returns"])) == 2  # seeds are independent
    assert capsys.readouterr().out.count("| CartPole-v1 |") == 2
    assert out.with_suffix(".md").read_text(encoding="utf-8").count("\n") == 4


def test_a_killed_table_goes_on_and_rows_of_other_commits_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "learning.json"
    made: list[str] = []
    commit = "abc"

    def learn(case: learning.Case, agent: str, *, frames: int, **_: object) -> dict[str, Any]:
        made.append(agent)
        row = {"frames": frames, "mean_test_returns": [1.0], "mean": None, "random_policy": 0.0}
        return {**row, "solved_by": 0, "failures": [], "train_wall_s": 0.0}

    monkeypatch.setattr(learning, "learn", learn)
    for module in (learning, measuring):
        monkeypatch.setattr(module, "provenance", lambda: {"commit": commit})
    asked = ["--env", "CartPole-v1", "--seeds", "1", "--out", str(out)]
    learning.main([*asked, "--agent", "a2c"])
    learning.main([*asked, "--agent", "a2c", "impala"])
    assert made == ["a2c", "impala"]
    commit = "def"
    learning.main([*asked, "--agent", "a2c"])
    assert made == ["a2c", "impala", "a2c"]
    rows = measuring.read(out)["CartPole-v1"]
    assert {agent: row["commit"] for agent, row in rows.items()} == {"a2c": "def", "impala": "abc"}
    learning.main([*asked, "--agent", "a2c", "--share", "0.5"])
    assert made[3:] == ["a2c"]
    commit = "def-dirty"
    for _ in range(2):  # what that code was, nobody knows
        learning.main([*asked, "--agent", "a2c", "--share", "0.5"])
    assert made[4:] == ["a2c", "a2c"]


def test_parity_uses_the_same_settings_for_both() -> None:
    config = learning.configuration(parity.CASES[1], "a2c", ("--agent-options", *parity.SB3, "--search", *parity.SB3_HYPERS))
    assert config.agent_options["unroll_length"] == 5 and config.agent_options["envs_per_member"] == parity.ENVS
    assert not config.agent_options["normalise_observations"] and not config.agent_options["normalise_returns"]
    # Stable-Baselines3's own defaults, from its constructor.
    import inspect

    from stable_baselines3 import A2C

    theirs = {name: parameter.default for name, parameter in inspect.signature(A2C.__init__).parameters.items()}
    names = {"learning_rate": "learning_rate", "entropy_cost": "ent_coef", "discount": "gamma", "value_cost": "vf_coef"}
    names |= {"trace_lambda": "gae_lambda", "max_grad_norm": "max_grad_norm", "epsilon": "rms_prop_eps"}
    assert {ours: config.hypers[ours] for ours in names} == {ours: theirs[name] for ours, name in names.items()}


def test_parity_runs_both(capsys: pytest.CaptureFixture[str]) -> None:
    parity.main(["--env", "CartPole-v1", "--seeds", "2", "--share", "0.005"])
    out = capsys.readouterr().out
    assert " ours - SB3 | " in out
    assert "| CartPole-v1 | rl_pbt | 1,000 |" in out and "| CartPole-v1 | sb3 | 1,000 |" in out
