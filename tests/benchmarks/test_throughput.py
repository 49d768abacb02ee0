"""The arithmetic of the throughput script; nothing here asserts a time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import measuring, throughput
from rl_pbt.cli.arguments import build_parser
from rl_pbt.making import configure
from rl_pbt.records import Cost, FinalTest, Proposal, Result
from rl_pbt.store.events import Chosen, Ended, FinalTested, Finished, Proposed
from rl_pbt.store.manifest import Manifest, Session
from rl_pbt.store.run import RunFolder

ACCOUNTING = throughput.Accounting(
    train_frames=8_000,
    eval_frames=2_000,
    test_frames=1_000,
    frame_skip=4,
    wall_s=10.0,
    workers=2,
    working_s=18.0,
    command_wall_s=14.0,
)


def test_an_agent_step_is_frame_skip_frames() -> None:
    assert throughput.steps_per_second(8_000, 4, 10.0) == 200.0


@pytest.mark.parametrize(("frame_skip", "wall_s"), [(0, 1.0), (4, 0.0)])
def test_a_rate_needs_sense(frame_skip: int, wall_s: float) -> None:
    with pytest.raises(ValueError, match="a rate needs"):
        throughput.steps_per_second(1, frame_skip, wall_s)


def test_overhead_is_what_environments_and_networks_leave() -> None:
    assert throughput.overhead_share(10.0, 2, 18.0) == pytest.approx(0.1)
    assert throughput.overhead_share(10.0, 1, 10.0) == 0.0
    with pytest.raises(ValueError, match="fit in the run"):
        throughput.overhead_share(10.0, 1, 18.0)


def test_rates_count_evaluation_and_test_only_where_they_say_so() -> None:
    wanted = {"train": 200.0, "all": 275.0, "overhead": 0.1, "start-up and report, s": 4.0}
    assert throughput.rates(ACCOUNTING) == pytest.approx(wanted)


def test_a_accounting_sums_methods_and_seeds(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)

    def record(method: str, seed: int, train: int, evaluation: int, test: int) -> None:
        cost = Cost(train_units=train, eval_units=evaluation, updates=1, cpu_s=1.0, wall_s=4.0)
        tested = FinalTest(proposal=0, returns=(1.0,), cost=Cost(eval_units=test, wall_s=2.0))
        run.ledger(method, seed).append(
            [
                Proposed(proposal=Proposal(id=0, member=0, generation=0, hypers={}, parent=None, units=train)),
                Finished(result=Result(proposal=0, fitness=1.0, cost=cost), time=0.0),
                Chosen(proposal=0),
                FinalTested(test=tested),
                Ended(),
            ]
        )

    config = configure({"env": "CartPole-v1", "methods": ["pbt", "random"], "seeds": [0, 1]})
    run.write_manifest(Manifest(command="", config=config, status="finished", sessions=(Session(elapsed_s=12.0, workers=2),)))
    record("pbt", 0, 1_000, 10, 300)
    record("pbt", 1, 2_000, 20, 300)
    record("random", 0, 4_000, 1_000, 100)
    record("random", 1, 1_000, 970, 300)
    wanted = replace(ACCOUNTING, wall_s=12.0, working_s=24.0)
    assert throughput.accounting_of(run, frame_skip=4, command_wall_s=14.0) == wanted


def test_ratios_are_of_medians() -> None:
    runs = [{"train": value, "all": 2 * value, "overhead": 0.1} for value in (90.0, 100.0, 400.0)]
    figures = throughput.compare(runs, sb3=[50.0, 10.0, 60.0], ceiling=[200.0, 200.0, 1.0])
    assert figures["train"] == {"median": 100.0, "min": 90.0, "max": 400.0}
    assert figures["sb3"] == {"median": 50.0, "min": 10.0, "max": 60.0}
    assert figures["ratios"] == {
        "train/sb3": 2.0,
        "all/sb3": 4.0,
        "train/ceiling": 0.5,
        "all/ceiling": 1.0,
    }


def test_without_a_ceiling_there_is_no_share_of_it() -> None:
    figures = throughput.compare([{"train": 1.0, "all": 1.0, "overhead": 0.0}], sb3=[1.0], ceiling=[])
    assert "ceiling" not in figures
    assert set(figures["ratios"]) == {"train/sb3", "all/sb3"}
    assert "| CartPole-v1 | rl_pbt, training steps | 1 | 1 | 1 | 1.00x |  |" in throughput.page({"CartPole-v1": figures})


@pytest.mark.parametrize("setting", throughput.SETTINGS, ids=lambda setting: setting.name)
def test_the_command_line_is_one_that_the_suite_takes(setting: throughput.Setting) -> None:
    command = throughput.bench_command(throughput.shortened(setting, 8), Path("out"))
    args = build_parser("bench").parse_args(command[command.index("rl_pbt.bench") + 1 :])
    assert (args.env, args.agent) == (setting.env, setting.agent)
    assert (args.population, args.budget) == (setting.population, setting.frames // 8)


def test_the_script_measures_every_candidate_in_turn(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("cv2", reason="Stable-Baselines3's Atari wrappers need the extra bench")
    turns = []

    def instead(measure: Any, setting: throughput.Setting) -> Any:
        turns.append(measure.__name__)
        return throughput.rates(ACCOUNTING) if measure is throughput.run_ours else 100.0

    monkeypatch.setattr(throughput, "alone", instead)
    out = tmp_path / "figures.json"
    throughput.main(["--repeats", "1", "--env", "CartPole-v1", "--out", str(out)])
    before = measuring.read(out)["CartPole-v1"]
    turns.clear()
    throughput.main(["--repeats", "2", "--env", "Pacman", "--out", str(out)])
    assert turns == ["run_ours", "run_sb3", "run_ceiling"] * 2
    assert "2.00x | 200% |" in capsys.readouterr().out
    results = measuring.read(out)
    assert results["CartPole-v1"] == before
    assert results["Pacman"]["repeats"] == 2
    assert results["Pacman"]["ratios"]["train/sb3"] == 2.0
    assert {"date", "commit", "hardware", "versions", "opencv"} <= set(results["Pacman"])


def test_ours_runs_with_a_handful_of_frames() -> None:
    setting = replace(throughput.SETTINGS[0], frames=800, interval=400, population=2, workers=1)
    found = throughput.run_ours(setting)
    assert 0 < found["train"] < found["all"] and 0 < found["overhead"] < 1 and found["start-up and report, s"] > 0


@pytest.mark.parametrize("name", ["CartPole-v1", "MinAtar/Breakout-v1"])
def test_sb3_runs_with_a_handful_of_steps(name: str) -> None:
    if "MinAtar" in name:
        pytest.importorskip("minatar")
    (setting,) = [one for one in throughput.SETTINGS if one.name == name]
    assert throughput.run_sb3(replace(setting, sb3_steps=80)) > 0
