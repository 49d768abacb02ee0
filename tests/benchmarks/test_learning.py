"""The evidence scripts, on a handful of frames: they run, and what they print is what was measured."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import controller, families, learning, measuring, overlap, parity, precision, throughput
from rl_pbt.agents.networks import computes_in_bfloat16
from rl_pbt.envs import FAMILIES
from rl_pbt.errors import UserError
from rl_pbt.tasks.rl.defaults import DEFAULTS

REFERENCE = Path(__file__).resolve().parents[2] / "results" / "reference"


def test_every_family_has_defaults() -> None:
    assert set(DEFAULTS) == set(FAMILIES)


def test_an_agent_with_a_memory_has_learning_rates_of_its_own() -> None:
    cases = {case.env: case for case in learning.CASES}
    for env, rates in {"LunarLander-v3": (2e-3, 1e-3), "Acrobot-v1": (2e-3, 2e-3)}.items():
        configs = [learning.configuration(cases[env], agent) for agent in ("impala", "impala-lstm")]
        assert tuple(config.hypers["learning_rate"] for config in configs) == rates
    held = learning.configuration(cases["LunarLander-v3"], "impala-lstm", {"search": {"learning_rate": 0.5}})
    assert held.hypers["learning_rate"] == 0.5


def test_the_learning_table_is_made_of_real_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "learning.json"
    words = "--env CartPole-v1 --agent a2c impala-lstm --seeds 2 --share 0.008 --workers 1 --out"
    learning.main([*words.split(), str(out)])
    report = json.loads(out.read_text(encoding="utf-8"))
    assert set(report["results"]["CartPole-v1"]) == {"a2c", "impala-lstm"}
    for one in report["results"]["CartPole-v1"].values():
        assert "commit" in one and one["frames"] == pytest.approx(4000, abs=200) and len(one["mean_test_returns"]) == 2
        assert 5 < one["random_policy"] < 60 and one["solved"] == 475
        assert len(set(one["mean_test_returns"])) == 2  # seeds are independent
    assert capsys.readouterr().out.count("| CartPole-v1 |") == 2
    assert out.with_suffix(".md").read_text(encoding="utf-8").count("\n") == 4


def test_a_killed_table_is_resumed_and_rows_of_other_commits_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "learning.json"
    made: list[str] = []
    commit = "abc"

    def learn(case: learning.Case, agent: str, *, frames: int, **_: object) -> dict[str, Any]:
        made.append(agent)
        row = {"frames": frames, "mean_test_returns": [1.0], "mean": None, "random_policy": 0.0}
        return {**row, "solved_by": 0, "failures": [], "train_wall_s": 0.0}

    monkeypatch.setattr(learning, "learn", learn)
    monkeypatch.setattr(measuring, "commit", lambda: commit)
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
    learning.main([*asked, "--agent", "a2c", "--default-budget"])
    assert made[3:] == ["a2c", "a2c"] and measuring.read(out)["CartPole-v1"]["a2c"]["frames"] == 500_000
    commit = "def-dirty"
    for _ in range(2):  # it is not known what that code was
        learning.main([*asked, "--agent", "a2c", "--share", "0.5"])
    assert made[5:] == ["a2c", "a2c"]


@pytest.mark.parametrize("agent", parity.SIDES)
def test_parity_uses_the_same_settings_for_both(agent: str) -> None:
    import inspect

    import stable_baselines3

    sides = parity.SIDES[agent]
    config = learning.configuration(sides.cases[1], agent, sides.settings)
    options = config.task_options["agent_options"]
    assert options["envs_per_member"] == parity.ENVS and config.search == {}
    assert not options["normalise_observations"] and not options["normalise_returns"]
    # Stable-Baselines3's own defaults, from its constructor.
    made = getattr(stable_baselines3, sides.sb3)
    theirs = {name: parameter.default for name, parameter in inspect.signature(made.__init__).parameters.items()}
    theirs |= sides.arguments
    fixed = {"unroll_length": "n_steps", "batch_size": "batch_size"}
    fixed |= {"normalise_advantages": "normalize_advantage", "target_kl": "target_kl"}
    for ours, name in fixed.items():
        if ours in options and name in theirs:
            assert options[ours] == (theirs[name] or 0), ours
    names = {"learning_rate": "learning_rate", "entropy_cost": "ent_coef", "discount": "gamma", "value_cost": "vf_coef"}
    names |= {
        "trace_lambda": "gae_lambda",
        "max_grad_norm": "max_grad_norm",
        "epsilon": "rms_prop_eps",
        "clip_range": "clip_range",
        "num_epochs": "n_epochs",
    }
    for ours, value in config.hypers.items():
        assert value == theirs.get(names[ours], 1e-5), ours  # the epsilon of PPO's Adam is written in its policy


def test_what_cannot_be_made_here_is_left_out_and_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def missing() -> dict[str, Any]:
        raise UserError("its package is missing")

    todo = [
        measuring.Measurement(place=("one", "agent"), asked={"seeds": 2}, make=missing),
        measuring.Measurement(place=("other", "agent"), asked={"seeds": 3}, make=lambda: {"found": 4.0}),
    ]
    measuring.run(todo, out=tmp_path / "results.json", page=lambda results: f"{sorted(results)}\n")
    assert capsys.readouterr().out == "one, agent is left out: its package is missing\n['other']\n"
    entry = measuring.read(tmp_path / "results.json")["other"]["agent"]
    assert (entry["seeds"], entry["found"]) == (3, 4.0) and {"date", "commit", "hardware", "versions"} <= set(entry)
    assert (tmp_path / "results.md").read_text() == "['other']\n"


def test_committed_results_can_be_read() -> None:
    """Whatever the commit that made them: the next measurement of one environment writes the page of all."""
    for script in (learning, parity, families, overlap, throughput, controller):
        results = measuring.read(REFERENCE / script.__name__.split(".")[-1] / f"{script.__name__.split('.')[-1]}.json")
        lines = script.page(results).splitlines()
        assert results and all(any(line.startswith(f"| {_shown(key)} |") for line in lines) for key in results), script


def test_the_controller_is_measured_up_to_its_report() -> None:
    assert [controller.shape_of(size) for size in ("1000", "64x100")] == [(1000, controller.GENERATIONS), (64, 100)]
    found = controller.measure((8, 3))
    assert (found["members"], found["generations"], found["proposals"]) == (8, 3, 24)
    assert min(found["report_s"], found["resume_s"], found["proposals_per_s"], found["report_peak_memory_mib"]) > 0
    assert found["report_peak_memory_mib"] >= found["peak_memory_mib"]
    row = controller.page({"8x3": found}).splitlines()[-1]
    assert row.startswith("| 8 | 3 | 24 |") and "–" not in row


def _shown(key: str) -> str:
    members, _, generations = key.partition("x")
    return f"{int(members):,}" if members.isdigit() and (generations.isdigit() or not generations) else key


def test_both_precisions_are_compared_seed_by_seed(capsys: pytest.CaptureFixture[str]) -> None:
    if not computes_in_bfloat16("cpu"):
        with pytest.raises(UserError, match="does not compute in bfloat16"):
            precision.compare(precision.CASES[0], seeds=2, frames=100)
        pytest.skip("this processor does not compute in bfloat16")
    precision.main(["--env", "MinAtar/Breakout-v1", "--seeds", "2", "--share", "0.002"])
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| MinAtar/Breakout-v1 | 2 | ")]
    assert len(row.split("|")) == len(precision.HEADER) + 2 and float(row.split("|")[-2]) > 0


@pytest.mark.parametrize("agent", parity.SIDES)
def test_parity_runs_both(agent: str, capsys: pytest.CaptureFixture[str]) -> None:
    parity.main(["--agent", agent, "--env", "CartPole-v1", "--seeds", "2", "--share", "0.005"])
    out = capsys.readouterr().out
    assert " ours - SB3 | " in out
    frames = f"{parity.SIDES[agent].cases[0].frames // 200:,}"
    assert f"| CartPole-v1 | rl_pbt | {frames} |" in out and f"| CartPole-v1 | sb3 | {frames} |" in out
