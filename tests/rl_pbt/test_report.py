"""Reports of ledgers that the real methods wrote, on a made-up problem."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rl_pbt import report
from rl_pbt.history import read_history
from rl_pbt.records import Cost, Result, Test, UserError
from rl_pbt.search import METHODS, Plan, Setup
from rl_pbt.space import Space
from rl_pbt.store import Run

SEARCH = {"learning_rate": "log:1e-5:1e-2", "discount": "horizon:0.9:0.999"}
POPULATION, FRAMES, INTERVAL = 6, 5000, 1000


def write_ledger(
    run: Run,
    method: str,
    seed: int,
    *,
    fail: float = 0.0,
    tied: bool = False,
    eval_frames: int = 20,
    bonus: float = 0.0,
) -> None:
    plan = Plan(population=POPULATION, frames_per_member=FRAMES, interval=INTERVAL)
    searcher = METHODS[method].make(Setup(space=Space.parse(SEARCH), plan=plan, root_seed=seed))
    ledger = run.ledger(method, seed)
    rng = np.random.default_rng(seed)
    age: dict[int | None, int] = {None: 0}
    while proposals := searcher.ask():
        ledger.append({"event": "proposed", "proposal": proposal.to_json()} for proposal in proposals)
        for proposal in proposals:
            age[proposal.id] = age[proposal.parent] + proposal.frames
            fitness = 1.0 if tied else -abs(np.log10(float(proposal.hypers["learning_rate"])) + 3.0)
            failed = rng.random() < fail
            cost = Cost(train_frames=proposal.frames, eval_frames=eval_frames, updates=10, cpu_s=0.5, wall_s=0.25)
            result = Result(
                id=proposal.id,
                fitness=None if failed else fitness,
                failure="diverged" if failed else None,
                returns=() if failed else (fitness - 0.1, fitness + 0.1),
                cost=cost,
                lineage_frames=age[proposal.id],
            )
            searcher.tell(result)
            ledger.append([{"event": "finished", "result": result.to_json(), "time": 1e9 + proposal.id}])
    winner = searcher.winner()
    ledger.append([{"event": "chosen", "id": winner}])
    if winner is not None:
        test = Test(id=winner, returns=tuple((bonus + rng.normal(10, 1, 12)).tolist()), cost=Cost(eval_frames=99))
        ledger.append([{"event": "tested", "test": test.to_json()}])
    ledger.append([{"event": "ended"}])


def make_run(
    folder: Path,
    *,
    seeds: int = 1,
    methods: tuple[str, ...] = ("pbt", "random"),
    bonus: float = 0.0,
    random_policy: float | None = 0.0,
    **options: Any,
) -> Run:
    run = Run(folder)
    config: dict[str, Any] = {
        "env": "Made/Up-v0",
        "agent": "a2c",
        "methods": list(methods),
        "seeds": list(range(seeds)),
    }
    config |= {"population": POPULATION, "frames": FRAMES, "interval": INTERVAL, "group_size": 2, "frame_skip": 4}
    config |= {"fraction": 0.2, "factors": [1.2], "resample_probability": 0.0, "burn_in": 0, "device": "cpu"}
    config |= {"fitness": "evaluation", "search": SEARCH, "hypers": {"held": 0.5}, "eval_episodes": 3, "test_episodes": 12}
    manifest: dict[str, Any] = {
        "status": "finished",
        "command": "python -m rl_pbt.bench --env Made/Up-v0",
        "config": config,
    }
    manifest |= {"commit": "abc123", "versions": {}, "hardware": {}}
    if random_policy is not None:
        manifest["random_policy"] = {"returns": [random_policy - 1, random_policy, random_policy + 1], "frames": 30}
    run.write_manifest(manifest)
    for method in methods:
        for seed in range(seeds):
            write_ledger(run, method, seed, bonus=bonus if method == "pbt" else 0.0, **options)
    return run


def summarise(run: Run) -> dict[str, Any]:
    return dict(report.summarise(run))


def test_the_receipts_are_the_sum_of_the_ledger(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    summary = summarise(run)
    for method in ("pbt", "random"):
        events = run.ledger(method, 0).read()
        costs = [event["result"]["cost"] for event in events if event["event"] == "finished"]
        seed = summary["methods"][method]["seeds"]["0"]
        assert seed["cost"] == {name: sum(cost[name] for cost in costs) for name in costs[0]}
        assert seed["budget_frames"] == POPULATION * FRAMES
        spent_before_the_play_off = sum(c["train_frames"] + c["eval_frames"] for c in costs if c["train_frames"])
        assert seed["best_fitness_curve"][-1][0] == spent_before_the_play_off
        assert len(seed["test_returns"]) == 12 and seed["winner"]["generation"] == 4
        assert seed["cost"]["train_frames"] + seed["cost"]["eval_frames"] > spent_before_the_play_off
        assert seed["winner"]["fitness_episodes"] > 2, "the winner was judged again"
    assert summary["methods"]["pbt"]["seeds"]["0"]["exploits"] > 0
    assert summary["methods"]["random"]["seeds"]["0"]["exploits"] == 0
    assert summary["methods"]["random"]["seeds"]["0"]["surviving_founders"] == POPULATION
    assert summary["methods"]["pbt"]["seeds"]["0"]["surviving_founders"] < POPULATION


def test_one_seed_says_nothing_about_other_seeds(tmp_path: Path) -> None:
    comparison = summarise(make_run(tmp_path, bonus=5.0))["comparison"]
    assert comparison["refused"] is None and comparison["difference"]["unit"] == "episodes"
    assert comparison["difference"]["interval"][0] > 0
    assert "says nothing about other seeds" in comparison["verdict"]
    assert "pbt is better" not in comparison["verdict"]


@pytest.mark.parametrize(
    ("seeds", "bonus", "expected"),
    [
        (5, 0.0, "No difference found"),
        (5, 5.0, "5 seeds are too few to claim it"),
        (5, -5.0, "random did better on these seeds"),
        (6, 5.0, "pbt is better"),
        (6, -5.0, "random is better"),
    ],
)
def test_the_verdict_claims_what_the_seeds_allow(tmp_path: Path, seeds: int, bonus: float, expected: str) -> None:
    comparison = summarise(make_run(tmp_path, seeds=seeds, bonus=bonus))["comparison"]
    assert comparison["verdict"].startswith(expected) or expected in comparison["verdict"]
    assert comparison["difference"]["unit"] == "seeds"
    assert len(comparison["mean_test_returns"]["pbt"]) == seeds
    assert comparison["difference"]["value"] == pytest.approx(
        np.subtract(comparison["mean_test_returns"]["pbt"], comparison["mean_test_returns"]["random"]).mean()
    )


@pytest.mark.parametrize(("seeds", "expected"), [(6, "6 seeds are too few to claim it"), (7, "pbt is better: ")])
def test_of_more_comparisons_each_must_show_more(tmp_path: Path, seeds: int, expected: str) -> None:
    summary = summarise(make_run(tmp_path, seeds=seeds, bonus=5.0, methods=("pbt", "random", "explore-only")))
    for comparison in (summary["comparison"], *summary["further_comparisons"]):
        assert expected in comparison["verdict"]
        assert comparison["p_value"] == pytest.approx(2 / 2**seeds)
        assert comparison["p_value_corrected"] == pytest.approx(4 / 2**seeds)


def test_methods_that_chose_the_same_agent_are_said_to(tmp_path: Path) -> None:
    """Copied weights leave the hypers alone, which are all that counts here: the same member wins, with and without copies."""
    summary = summarise(make_run(tmp_path, methods=("weights-only", "random"), seeds=2))
    assert summary["methods"]["weights-only"]["seeds"]["0"]["exploits"] > 0
    assert "Both chose the very same agent on every seed." in summary["comparison"]["verdict"]


def test_generations_that_evaluation_took_the_frames_of_are_missed(tmp_path: Path) -> None:
    dear = summarise(make_run(tmp_path / "dear", eval_frames=800))
    said = " ".join(dear["caveats"])
    generations = dear["methods"]["pbt"]["seeds"]["0"]["sequential_depth"]
    assert generations < FRAMES // INTERVAL and "Of 5 planned generations" in said and f"pbt {generations}, " in said
    assert "Evaluation took more than 40%" in said
    assert said in report.terminal_summary(Run(tmp_path / "dear")).replace("\n", " ")
    assert summarise(make_run(tmp_path / "cheap"))["caveats"] == []


def test_the_random_policy_is_the_yardstick(tmp_path: Path) -> None:
    learnt = summarise(make_run(tmp_path / "learnt"))["comparison"]
    assert learnt["random_policy"]["mean"] == 0.0
    assert learnt["random_policy"]["margins"]["pbt"]["interval"][0] > 5
    assert "too small" not in learnt["verdict"]
    not_learnt = summarise(make_run(tmp_path / "not", random_policy=10.0))["comparison"]
    assert "The budget is too small for the difference to mean anything" in not_learnt["verdict"]
    unknown = summarise(make_run(tmp_path / "unknown", random_policy=None))["comparison"]
    assert unknown["random_policy"] is None
    assert "not measured" in report.write_report(Run(tmp_path / "unknown")).read_text()


def test_ties_are_never_copied_and_the_verdict_says_so(tmp_path: Path) -> None:
    summary = summarise(make_run(tmp_path, tied=True))
    assert summary["methods"]["pbt"]["seeds"]["0"]["exploits"] == 0
    assert "No member was ever copied" in summary["comparison"]["verdict"]


def test_unequal_budgets_are_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path, methods=("pbt",))
    manifest = run.manifest()
    manifest["config"]["methods"] = ["pbt", "random"]
    run.write_manifest(manifest)
    write_ledger(run, "random", 0)
    path = run.ledger("random", 0).path
    path.write_text(path.read_text().replace('"eval_frames":20', '"eval_frames":40'))
    comparison = summarise(run)["comparison"]
    assert "the budgets differ" in comparison["refused"] and "difference" not in comparison
    assert "--eval-episodes" in comparison["refused"], "the way out"
    assert comparison["verdict"].startswith("No comparison")
    assert comparison["random_policy"]["margins"]["random"]["value"] > 5


def test_a_lone_method_is_reported_and_compared_with_nothing(tmp_path: Path) -> None:
    run = make_run(tmp_path, methods=("pbt",))
    assert "only method" in summarise(run)["comparison"]["refused"]
    report.write_report(run)


@pytest.mark.parametrize("kept", [0, 4, 10, -1, -2])
def test_an_unfinished_run_is_reported_as_far_as_it_went(tmp_path: Path, kept: int) -> None:
    run = make_run(tmp_path)
    path = run.ledger("random", 0).path
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:kept]))
    run.write_manifest({**run.manifest(), "status": "interrupted"})
    assert "random is unfinished on seed 0" in summarise(run)["comparison"]["refused"]
    assert "This run is interrupted" in report.write_report(run).read_text()


@pytest.mark.parametrize("fail", [0.2, 1.0])
def test_failures_are_counted_and_survived(tmp_path: Path, fail: float) -> None:
    run = make_run(tmp_path, fail=fail)
    summary = summarise(run)
    pbt = summary["methods"]["pbt"]["seeds"]["0"]
    assert pbt["failures"] > 0
    if fail == 1.0:
        assert pbt["winner"] is None and pbt["surviving_founders"] == 0 and pbt["best_fitness_curve"] == []
        assert "every member failed" in summary["comparison"]["refused"]
    report.write_report(run)


def test_the_page_shows_tables_schedule_and_plots_that_exist(tmp_path: Path) -> None:
    run = make_run(tmp_path, seeds=2)
    page = report.write_report(run)
    text = page.read_text()
    for words in (
        "## Test returns",
        "## Comparisons",
        "members were trained for",
        "## Receipts",
        "## How it was measured",
        "selected on",
        "### pbt, seed 1",
        "copied",
    ):
        assert words in text
    assert "Made by `python -m rl_pbt.bench --env Made/Up-v0`, commit `abc123`." in text
    names = {line.split("(")[-1].rstrip(")") for line in text.splitlines() if line.endswith(".png)")}
    drawn = {f"plots/{path.name}" for path in (run.folder / "plots").iterdir()}
    assert names == drawn
    assert len(drawn) == 2 + 2 * 2 * 2


def test_the_schedule_ends_with_the_winners_hypers(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    text = report.write_report(run).read_text()
    winner = summarise(run)["methods"]["pbt"]["seeds"]["0"]["winner"]
    section = text.split("### pbt, seed 0")[1].split("###")[0]
    last_row = [line for line in section.splitlines() if line.startswith("| ")][-1]
    assert f"{winner['hypers']['learning_rate']:.4g}" in last_row


def test_the_same_ledger_gives_the_same_bytes(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    contents = []
    for _ in range(2):
        report.write_report(run)
        contents.append({p.name: p.read_bytes() for p in tmp_path.rglob("*") if p.suffix in (".json", ".md", ".png")})
    assert contents[0] == contents[1]
    json.loads(contents[0]["summary.json"])


def test_the_terminal_gets_a_few_lines(tmp_path: Path) -> None:
    lines = report.terminal_summary(make_run(tmp_path)).splitlines()
    assert len(lines) == 4 and lines[0].startswith("pbt") and lines[-1].endswith("summary.md")


def test_damage_is_named_by_file_and_line(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    path = run.ledger("pbt", 0).path
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[1:]))  # a result whose proposal is gone
    with pytest.raises(UserError, match=r"ledger\.jsonl, line \d+ is damaged"):
        read_history(run, "pbt", 0)
    path.write_text('{"event":"danced"}\n')
    with pytest.raises(UserError, match=r"line 1 .*danced"):
        read_history(run, "pbt", 0)
    run.write_manifest({"status": "finished"})
    with pytest.raises(UserError, match="config"):
        report.summarise(run)


def test_the_command_line(tmp_path: Path) -> None:
    make_run(tmp_path / "run")
    command = [sys.executable, "-m", "rl_pbt.report"]
    done = subprocess.run([*command, tmp_path / "run"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(tmp_path / "run" / "summary.md")
    failed = subprocess.run([*command, tmp_path / "none"], capture_output=True, text=True, check=False)
    assert failed.returncode == 2
    assert failed.stderr.startswith("error: ") and "is not a run" in failed.stderr and len(failed.stderr.splitlines()) == 1
