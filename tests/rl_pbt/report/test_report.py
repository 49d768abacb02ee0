"""Reports of ledgers that the real methods wrote, on a made-up problem."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from rl_pbt import report
from rl_pbt.cli import reporting
from rl_pbt.cli.ending import print_end_on
from rl_pbt.config import RunConfig
from rl_pbt.errors import UserError
from rl_pbt.records import LARGEST_SCORE, TRAINING_SCORE, Cost, FinalTest, Result
from rl_pbt.report import tree_layout
from rl_pbt.report.bounds import at_bounds
from rl_pbt.report.comparison import unequal_budgets
from rl_pbt.report.evidence import read_evidence
from rl_pbt.report.statistics import Estimate
from rl_pbt.report.summarising import summary_of
from rl_pbt.search import METHODS, Plan, Problem
from rl_pbt.space import Space
from rl_pbt.store.compacting import compact
from rl_pbt.store.events import Chosen, Ended, FinalTested, Finished, Proposed, from_json
from rl_pbt.store.history import History, read_history
from rl_pbt.store.manifest import Manifest, Session
from rl_pbt.store.run import RunFolder
from rl_pbt.tasks.on_environments.words import FRAMES
from rl_pbt.text import readable
from tests.rl_pbt.faults.spoiling import fit

ROOT = Path(__file__).resolve().parents[3]
REFERENCE = ROOT / "results" / "reference"
SEARCH = {"learning_rate": "log:1e-5:1e-2", "discount": "horizon:0.9:0.999"}
POPULATION, BUDGET, INTERVAL = 6, 5000, 1000
EXPLORES_LITTLE = (
    "Exploration cannot go far in so few generations: all perturbations of pbt together cover this much of a range at most: "
    "discount 16% and learning_rate 11%. A shorter interval, factors farther from 1 or a resample_probability would cover more."
)
AGENT_ON_ENVIRONMENT = {
    "task": "rl",
    "task_options": {"env": "Made/Up-v0", "agent": "a2c", "frame_skip": 4, "fitness": "evaluation", "eval_episodes": 3},
}
TRANSLATOR = {
    "task": "own",
    "task_options": {"target": "translate:Translator", "unit": "sentence", "score": "BLEU", "evaluations": 1, "quantum": 1},
}
OF_REINFORCEMENT_LEARNING = re.compile(
    r"\bframes?\b|\bepisodes?\b|\breturns?\b|random policy|\bagents?\b|environment", re.IGNORECASE
)


def write_ledger(
    run: RunFolder,
    method: str,
    seed: int,
    *,
    fail: float = 0.0,
    tied: bool = False,
    eval_units: int = 20,
    bonus: float = 0.0,
) -> None:
    plan = Plan(population=POPULATION, budget_per_member=BUDGET, interval=INTERVAL)
    entry = METHODS[method]
    searcher = entry.make(Problem(space=Space.parse(SEARCH), plan=plan, root_seed=seed), entry.options())
    ledger = run.ledger(method, seed)
    rng = np.random.default_rng(seed)
    age: dict[int | None, int] = {None: 0}
    while proposals := searcher.ask():
        ledger.append(Proposed(proposal=proposal) for proposal in proposals)
        for proposal in proposals:
            age[proposal.id] = age[proposal.parent] + proposal.units
            fitness = 1.0 if tied else -abs(np.log10(float(proposal.hypers["learning_rate"])) + 3.0)
            failed = rng.random() < fail
            evaluated = eval_units if proposal.evaluates else 0
            judged = proposal.evaluates and not failed
            cost = Cost(train_units=proposal.units, eval_units=evaluated, updates=10, cpu_s=0.5, wall_s=0.25, method_s=0.125)
            result = Result(
                proposal=proposal.id,
                fitness=fitness if judged else None,
                failure="diverged" if failed else None,
                returns=(fitness - 0.1, fitness + 0.1) if judged else (),
                cost=cost,
                metrics={TRAINING_SCORE: fitness - 1},
                lineage_units=age[proposal.id],
                foreseen_units=0 if failed else eval_units - evaluated,
            )
            searcher.tell(result)
            ledger.append([Finished(result=result, time=1e9 + proposal.id)])
    winner = searcher.winner()
    ledger.append([Chosen(proposal=winner)])
    if winner is not None:
        test = FinalTest(proposal=winner, returns=tuple((bonus + rng.normal(10, 1, 12)).tolist()), cost=Cost(eval_units=99))
        ledger.append([FinalTested(test=test)])
    ledger.append([Ended()])


def make_run(
    folder: Path,
    *,
    seeds: int = 1,
    methods: tuple[str, ...] = ("pbt", "random"),
    bonus: float = 0.0,
    baseline: float | None = 0.0,
    task: dict[str, Any] = AGENT_ON_ENVIRONMENT,
    declared: dict[str, str] | None = None,
    **options: Any,
) -> RunFolder:
    run = RunFolder(folder)
    config = RunConfig(
        methods=methods,
        seeds=tuple(range(seeds)),
        population=POPULATION,
        budget=BUDGET,
        interval=INTERVAL,
        group_size=2,
        search=SEARCH,
        hypers={"held": 0.5},
        test_episodes=12,
        **(declared or {}),
        **task,
    )
    run.write_manifest(
        Manifest(
            command="python -m rl_pbt.bench Made/Up-v0",
            config=config,
            status="finished",
            sessions=(Session(commit="abc123"),),
            baseline=None if baseline is None else (baseline - 1, baseline, baseline + 1),
        )
    )
    for method in methods:
        for seed in range(seeds):
            write_ledger(run, method, seed, bonus=bonus if method == "pbt" else 0.0, **options)
    return run


def ending_of(run: RunFolder, width: int = 100) -> str:
    """What the terminal shows at the end."""
    console = Console(file=io.StringIO(), width=width, highlight=False)
    print_end_on(console, report.summarise(run), run, "rl-pbt bench")
    stream = console.file
    assert isinstance(stream, io.StringIO)
    return stream.getvalue()


def reported(run: RunFolder) -> str:
    """The page."""
    report.write_report(run)
    return (run.folder / "summary.md").read_text()


def summarise(run: RunFolder) -> dict[str, Any]:
    """What summary.json holds."""
    found: dict[str, Any] = json.loads(json.dumps(report.summarise(run).to_json()))
    return found


def test_the_accounting_is_the_sum_of_the_ledger(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    summary = summarise(run)
    for method in ("pbt", "random"):
        events = run.ledger(method, 0).read()
        costs = [event.result.cost.to_json() for event in events if isinstance(event, Finished)]
        seed = summary["methods"][method]["seeds"]["0"]
        assert seed["cost"] == {name: sum(cost[name] for cost in costs) for name in costs[0]}
        assert seed["budget"] == POPULATION * BUDGET
        spent_before_re_evaluation = sum(c["train_units"] + c["eval_units"] for c in costs if c["train_units"])
        assert seed["best_fitness_curve"][-1][0] == spent_before_re_evaluation
        assert len(seed["test_returns"]) == 12 and seed["winner"]["generation"] == 4
        assert seed["cost"]["train_units"] + seed["cost"]["eval_units"] > spent_before_re_evaluation
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
        (5, 0.0, "No statistically significant difference"),
        (5, 5.0, "5 seeds are too few to find any, however large"),
        (5, -5.0, "No statistically significant difference: pbt minus random is -"),
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


@pytest.mark.parametrize(("seeds", "expected"), [(6, "6 seeds are too few to find any"), (7, "pbt is better: ")])
def test_of_more_comparisons_each_must_show_more(tmp_path: Path, seeds: int, expected: str) -> None:
    summary = summarise(make_run(tmp_path, seeds=seeds, bonus=5.0, methods=("pbt", "random", "explore-only")))
    for comparison in (summary["comparison"], *summary["further_comparisons"]):
        assert expected in comparison["verdict"]
        assert comparison["p_value"] == pytest.approx(2 / 2**seeds)
        assert comparison["p_value_corrected"] == pytest.approx(4 / 2**seeds)
        assert comparison["family"] == "all" and comparison["detectable_difference"] is None, "all seeds differ by as much"


THREE = ("pbt", "random", "explore-only")


def test_a_declared_primary_contrast_is_tested_alone_and_comes_first(tmp_path: Path) -> None:
    """Six seeds can show nothing among two comparisons, and something in one."""
    run = make_run(tmp_path, seeds=6, bonus=5.0, methods=THREE, declared={"primary": "pbt:explore-only"})
    first, *others = report.summarise(run).comparisons
    assert (first.methods, first.family) == (("pbt", "explore-only"), "primary")
    assert first.verdict.startswith("pbt is better in the declared primary contrast: pbt minus explore-only is ")
    assert [(one.methods, one.family) for one in others] == [(("pbt", "random"), "further")], "a family of its own, of one"
    for one in (first, *others):
        assert one.measured is not None and one.measured.p_value == one.measured.p_value_corrected == pytest.approx(2 / 2**6)
    assert "in the declared primary contrast" in ending_of(run) and "(primary contrast)" in reported(run)


def test_a_declared_reference_is_compared_with_each_of_the_others(tmp_path: Path) -> None:
    run = make_run(tmp_path, seeds=7, bonus=5.0, methods=THREE, declared={"against": "random", "primary": "pbt:random"})
    pairs = {one.methods: one.family for one in report.summarise(run).comparisons}
    assert pairs == {("pbt", "random"): "primary", ("random", "explore-only"): "further"}
    run = make_run(tmp_path / "all", seeds=7, bonus=5.0, methods=THREE, declared={"against": "random"})
    first, second = report.summarise(run).comparisons
    assert (first.methods, second.methods) == (("random", "pbt"), ("random", "explore-only"))
    assert first.verdict.startswith("pbt is better: random minus pbt is -") and "corrected for 2 comparisons" in first.verdict


def test_another_reference_than_the_declared_one_is_a_second_look(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rl_pbt.report.writing._draw", lambda run, evidence, sheets: [])  # twenty populations, three times
    monkeypatch.setattr("rl_pbt.report.writing.document_of", lambda evidence, summary, sheets: "")
    run = make_run(tmp_path, seeds=7, bonus=5.0, methods=THREE, declared={"primary": "pbt:explore-only"})
    report.write_report(run)
    declared = (run.folder / "summary.json").read_bytes()
    assert reporting.main([str(run.folder), "--against", "random"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "This is a second look: the others are compared with random, but the run had compared them with pbt." in told
    summary = json.loads((run.folder / "summary.json").read_text())
    assert summary["comparison"]["methods"] == ["pbt", "explore-only"] and summary["comparison"]["family"] == "primary"
    further = summary["further_comparisons"]
    assert [one["methods"] for one in further] == [["random", "pbt"], ["random", "explore-only"]]
    assert all(one["family"] == "second look" and "in a second look" in one["verdict"] for one in further)
    assert reporting.main([str(run.folder), "--against", "pbt"]) == 0
    assert (run.folder / "summary.json").read_bytes() == declared, "as declared, which is no second look"
    assert reporting.main([str(run.folder), "--against", "randm"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: --against must be one of the methods") and "did you mean 'random'" in error


def test_two_methods_are_one_comparison_whichever_comes_first(tmp_path: Path) -> None:
    """Nothing was chosen after the results, so no p value is too small."""
    evidence = read_evidence(make_run(tmp_path, seeds=6, bonus=5.0))
    (declared,), (turned,) = (summary_of(evidence, against).comparisons for against in (None, "random"))
    assert declared.measured is not None and turned.measured is not None
    assert turned.methods == declared.methods[::-1] and turned.family == declared.family == "all"
    assert turned.measured.p_value_corrected == declared.measured.p_value_corrected
    assert summary_of(evidence, "random").caveats == summary_of(evidence).caveats


def test_a_finished_run_whose_ledgers_were_not_kept_is_left_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its summary is all that is left of it."""
    whole = make_run(tmp_path / "whole", seeds=2)
    report.write_report(whole)
    for name, lose in {
        "all": lambda run: [shutil.rmtree(run.folder / method) for method in ("pbt", "random")],
        "one": lambda run: run.ledger("random", 1).path.unlink(),
        "end": lambda run: run.ledger("random", 1).path.write_bytes(
            b"".join(run.ledger("random", 1).path.read_bytes().splitlines(True)[:9])
        ),
    }.items():
        run = RunFolder(Path(shutil.copytree(whole.folder, tmp_path / name)))
        lose(run)
        before = {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}
        assert reporting.main([str(run.folder)]) == 2
        told = capsys.readouterr()
        assert told.out == "" and told.err.count("\n") == 1 and "has finished, but " in told.err
        assert ("does not reach its end" if name == "end" else "was not kept") in told.err
        assert {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()} == before


def test_methods_that_chose_the_same_agent_are_said_to(tmp_path: Path) -> None:
    """Copied weights leave the hypers alone, which are all that counts here: the same member wins, with and without copies."""
    summary = summarise(make_run(tmp_path, methods=("weights-only", "random"), seeds=2, eval_units=0))
    assert summary["methods"]["weights-only"]["seeds"]["0"]["exploits"] > 0
    assert "Both chose the very same member on every seed." in summary["comparison"]["verdict"]


def test_generations_that_evaluation_took_the_units_of_are_missed(tmp_path: Path) -> None:
    dear = summarise(make_run(tmp_path / "dear", eval_units=800))
    said = " ".join(dear["caveats"])
    generations = dear["methods"]["pbt"]["seeds"]["0"]["sequential_depth"]
    assert generations < BUDGET // INTERVAL and "fewer than the 5 planned generations" in said and f"pbt {generations}" in said
    assert "Evaluation took more than 40%" in said
    assert said in " ".join(ending_of(RunFolder(tmp_path / "dear")).split()) and "frames" in said
    assert summarise(make_run(tmp_path / "cheap"))["caveats"] == [EXPLORES_LITTLE]


def test_a_population_that_ended_at_a_bound_is_told_to_widen_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The best learning rate of these ledgers is 1e-3."""
    assert not any("bound" in caveat for caveat in summarise(make_run(tmp_path / "wide"))["caveats"])
    monkeypatch.setitem(SEARCH, "learning_rate", "log:1e-5:1.3e-5")
    told = [caveat for caveat in summarise(make_run(tmp_path / "narrow", seeds=3))["caveats"] if "bound" in caveat]
    assert told == ["With pbt, most members ended at the upper bound of learning_rate, 1.3e-05: a wider range may do better."]


def test_a_replay_which_searches_nothing_is_not_told_to_widen_a_range(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SEARCH, "learning_rate", "log:1e-5:1.3e-5")
    run = make_run(tmp_path, seeds=3)
    evidence = read_evidence(run)
    assert list(at_bounds(evidence))
    assert not list(at_bounds(replace(evidence, histories={"replay-schedule": evidence.histories["pbt"]})))


@pytest.mark.parametrize("annealed", ["learning_rate", "another,learning_rate"])
def test_a_rate_that_was_annealed_below_its_range_was_not_held_back_by_it(
    annealed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SEARCH, "learning_rate", "log:1e-5:5e-5")
    run = make_run(tmp_path, methods=("random-annealed", "random"))
    manifest = run.manifest()
    run.write_manifest(replace(manifest, config=replace(manifest.config, method_options={"annealed": annealed})))
    fit(run.folder)
    last = read_history(run, "random-annealed", 0).trials[-POPULATION:]
    assert all(float(trial.proposal.hypers["learning_rate"]) < 1e-5 for trial in last)
    assert not any("bound" in caveat for caveat in summarise(run)["caveats"])


def test_the_baseline_is_the_yardstick(tmp_path: Path) -> None:
    learnt = summarise(make_run(tmp_path / "learnt"))["comparison"]
    assert learnt["baseline"]["mean"] == 0.0
    assert learnt["baseline"]["margins"]["pbt"]["interval"][0] > 5
    assert "too small" not in learnt["verdict"]
    not_learnt = summarise(make_run(tmp_path / "not", baseline=10.0))["comparison"]
    assert "The budget is too small for the difference to mean anything" in not_learnt["verdict"]
    unknown = summarise(make_run(tmp_path / "unknown", baseline=None))["comparison"]
    assert unknown["baseline"] is None
    assert "The random policy was not measured, so" in reported(RunFolder(tmp_path / "unknown"))


def test_ties_are_never_copied_and_the_verdict_says_so(tmp_path: Path) -> None:
    summary = summarise(make_run(tmp_path / "judged", tied=True))
    assert summary["methods"]["pbt"]["seeds"]["0"]["exploits"] == 0
    assert "No member was ever copied, so the methods differed only in how much" in summary["comparison"]["verdict"]
    same = summarise(make_run(tmp_path / "for nothing", tied=True, eval_units=0))["comparison"]["verdict"]
    assert "No member was ever copied, so the methods did exactly the same." in same


def test_what_was_trained_for_stands_beside_the_verdict_and_5_percent_is_a_caveat(tmp_path: Path) -> None:
    """Of 30,000 frames pbt evaluates its six members five times, random search once, and both judge the best again."""
    run = make_run(tmp_path / "dear", eval_units=150)
    summary = summarise(run)
    pbt, random = (summary["methods"][method]["cost"] for method in ("pbt", "random"))
    assert pbt["train_units"] < 0.9 * random["train_units"] and summary["comparison"]["refused"] is None
    spent = readable(max(cost["train_units"] + cost["eval_units"] for cost in (pbt, random)))
    took = f"{readable(pbt['train_units'])} for pbt ({pbt['updates']:,} updates)"
    line = f"Of the {spent} frames that each spent, training took {took} and {readable(random['train_units'])} for random"
    assert f"** {line}" in reported(run) and line in " ".join(ending_of(run).split())
    assert line in " ".join((run.folder / "report.html").read_text().split())
    both = f"pbt on {readable(pbt['train_units'])}, random on {readable(random['train_units'])}"
    caveat = f"At equal cost, the methods trained on different numbers of environment frames: {both}."
    assert caveat in summary["caveats"]
    three = read_evidence(make_run(tmp_path / "three", eval_units=150, methods=THREE))
    turned = f"random on {readable(random['train_units'])}, pbt on {readable(pbt['train_units'])}"
    for against, names in {"pbt": (f"pbt on {readable(pbt['train_units'])}, random", False), "random": (turned, True)}.items():
        (told,) = [one for one in summary_of(three, against).caveats if "trained on different numbers" in one]
        assert names[0] in told and ("explore-only on" in told) == names[1], "explore-only trains on as much as pbt"
    cheap = summarise(make_run(tmp_path / "cheap", eval_units=20))["caveats"]
    assert not [one for one in cheap if "trained on different numbers" in one]


def test_curves_of_a_method_that_is_judged_at_the_end_are_of_training_episodes_and_say_so(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    seed = summarise(run)["methods"]["random"]["seeds"]["0"]
    fitness = seed["best_fitness_curve"][-1][1]
    assert [value for _, value in seed["best_fitness_curve"]] == pytest.approx([fitness - 1] * 4 + [fitness])
    assert "For random, evaluated only at the end: the mean return of training episodes." in page_of(run)


def page_of(run: RunFolder) -> str:
    report.write_report(run)
    return " ".join((run.folder / "report.html").read_text().split())


def test_what_a_model_costs_is_on_the_receipt(tmp_path: Path) -> None:
    run = make_run(tmp_path, methods=("pbt",))
    cost = summarise(run)["methods"]["pbt"]["cost"]
    (results,) = (sum(isinstance(event, Finished) for event in run.ledger("pbt", 0).read()),)
    assert cost["method_s"] == results / 8
    header, _, row = (line.split(" | ") for line in reported(run).split("## Compute accounting")[1].splitlines()[2:5])
    assert row[header.index("the method's CPU seconds")] == f"{results / 8:.1f}"


def test_the_share_of_evaluation_in_the_cpu_seconds_is_told_where_it_was_measured(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    assert "evaluation took" not in reported(run) and "evaluation took" not in page_of(run)
    charged = '"method_s": 0.125, "eval_cpu_s": 0.0', '"method_s": 0.125, "eval_cpu_s": 0.05'
    for method in ("pbt", "random"):
        ledger = run.ledger(method, 0)
        lines = [json.dumps(event.to_json()).replace(*charged) for event in ledger.read()]
        ledger.path.unlink()
        run.ledger(method, 0).append(from_json(json.loads(line)) for line in lines)
    told = "Of the CPU seconds, evaluation took 10 % of those of pbt and 10 % of those of random."
    assert told in reported(run) and told in page_of(run)
    cost = summarise(run)["methods"]["pbt"]["cost"]
    assert cost["eval_cpu_s"] == pytest.approx(cost["cpu_s"] / 10)


def charged_more(event: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(event).replace('"eval_units": 20', '"eval_units": 40'))  # type: ignore[no-any-return]


def test_unequal_budgets_are_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path, methods=("pbt", "random"))
    ledger = run.ledger("random", 0)
    events = ledger.read()
    ledger.path.unlink()
    run.ledger("random", 0).append(from_json(charged_more(event.to_json())) for event in events)
    comparison = summarise(run)["comparison"]
    assert "the budgets differ" in comparison["refused"] and "difference" not in comparison
    assert "larger budget" in comparison["refused"] and "less evaluation" in comparison["refused"], "the way out"
    assert comparison["verdict"].startswith("No comparison")
    assert comparison["baseline"]["margins"]["random"]["value"] > 5


def test_budgets_a_little_too_far_apart_do_not_look_as_if_they_were_not() -> None:
    refusal = unequal_budgets(("pbt", "random"), 5941, 5972, FRAMES)
    assert refusal is not None and "5,941 environment frames and random 5,972, 0.52% apart" in refusal


@pytest.mark.parametrize("seeds", [1, 3, 6])
def test_the_largest_scores_have_a_report_too(tmp_path: Path, seeds: int) -> None:
    run = make_run(tmp_path, seeds=seeds, bonus=0.99 * LARGEST_SCORE)
    for seed in range(0, seeds, 2):  # every other one of them is as far below zero
        ledger = run.ledger("pbt", seed)
        events = [negated(event) if isinstance(event, FinalTested) else event for event in ledger.read()]
        ledger.path.unlink()
        ledger.append(events)
    report.write_report(run)
    assert summarise(run)["comparison"]["verdict"]


def negated(event: FinalTested) -> FinalTested:
    return FinalTested(test=replace(event.test, returns=tuple(-value for value in event.test.returns)))


def test_a_lone_method_is_reported_and_compared_with_nothing(tmp_path: Path) -> None:
    run = make_run(tmp_path, methods=("pbt",))
    assert "only method" in summarise(run)["comparison"]["refused"]
    report.write_report(run)


@pytest.mark.parametrize("kept", [0, 4, 10, -1, -2])
def test_an_unfinished_run_is_reported_as_far_as_it_went(tmp_path: Path, kept: int) -> None:
    run = make_run(tmp_path)
    path = run.ledger("random", 0).path
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:kept]))
    run.write_manifest(replace(run.manifest(), status="interrupted"))
    assert "random is unfinished on seed 0" in summarise(run)["comparison"]["refused"]
    assert "**Interrupted — partial results.**" in reported(run)


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
    text = reported(run)
    for words in (
        "## Test return",
        "## Comparisons",
        "members trained for",
        "## Compute accounting, all 2 seeds together",
        "## How it was measured",
        "optimistically biased",
        "critical path (intervals)",
        "peak parallelism",
        "budget, frames",
        "### pbt, seed 1",
        "copied",
    ):
        assert words in text
    assert "Made by `python -m rl_pbt.bench Made/Up-v0`, commit `abc123`." in text
    names = {line.split("(")[-1].rstrip(")") for line in text.splitlines() if line.endswith(".png)")}
    drawn = {f"plots/{path.name}" for path in (run.folder / "plots").iterdir()}
    assert names == drawn
    assert len(drawn) == 2 + 2 * 2, "random search copies nothing and changes nothing"


def test_the_schedule_ends_with_the_winners_hypers(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    text = reported(run)
    winner = summarise(run)["methods"]["pbt"]["seeds"]["0"]["winner"]
    section = text.split("### pbt, seed 0")[1].split("###")[0]
    last_row = [line for line in section.splitlines() if line.startswith("| ")][-1]
    assert f"{winner['hypers']['learning_rate']:.4g}" in last_row


def test_the_same_ledger_gives_the_same_bytes(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    contents = []
    for _ in range(2):
        report.write_report(run)
        contents.append({p.name: p.read_bytes() for p in tmp_path.rglob("*") if p.suffix in (".json", ".md", ".html", ".png")})
    assert contents[0] == contents[1]
    json.loads(contents[0]["summary.json"])


def test_where_the_nodes_of_a_family_tree_stand_is_worked_out_once_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, laid_out = tree_layout.tree_layout, []

    def counted(history: History) -> tree_layout.Places:
        laid_out.append(history)
        return original(history)

    monkeypatch.setattr(tree_layout, "tree_layout", counted)
    run = make_run(tmp_path, methods=("pbt", "random"), seeds=2)
    report.write_report(run)
    assert len(laid_out) == len(list((tmp_path / "plots").glob("family-tree-*.png"))) == 2


def test_pictures_that_a_report_no_longer_draws_go_and_other_peoples_stay(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    report.write_report(run)
    drawn = {path.name for path in (tmp_path / "plots").iterdir()}
    assert "family-tree-pbt-seed-0.png" in drawn and "family-tree-random-seed-0.png" not in drawn
    ours = ("family-tree-random-seed-0.png", "test_returns.png")
    others = ("mine.png", "family-tree-pbt-seed-9.png", "schedules-asha-seed-0.png", "learning_curves.svg")
    for name in (*ours, *others):
        (tmp_path / "plots" / name).write_bytes(b"drawn before")
    report.write_report(run)
    assert {path.name for path in (tmp_path / "plots").iterdir()} == {*drawn, *others}


def test_the_terminal_gets_a_table_the_verdict_and_what_comes_next(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    winner = report.summarise(run).methods["pbt"].seeds[0].winner
    assert winner is not None
    run.checkpoints("pbt", 0).save(winner.proposal, {"weights": np.zeros(1)})
    run.curves.mkdir()
    lines = [line.rstrip() for line in ending_of(run).splitlines()]
    assert lines[1].startswith("a2c on Made/Up-v0 · 6 members × 5k frames") and lines[1].endswith(" · seed 0")
    header = next(line for line in lines if line.startswith("method"))
    assert [column in header for column in ("test return", "95 % interval", "IQM", "winner's last")] == [True] * 4
    rows = {line.split()[0]: line for line in lines if line.startswith(("pbt ", "random ", "random policy"))}
    assert set(rows) == {"pbt", "random"} and rows["pbt"].split()[-2] == "discount"
    assert sum(line.startswith(" ") and line.split()[:1] == ["learning_rate"] for line in lines) == 2, "a line each"
    verdict = report.summarise(run).comparison.verdict
    assert verdict in " ".join(" ".join(lines).split())
    assert f"report  {tmp_path / 'report.html'}" in lines
    assert f"curves  tensorboard --logdir {tmp_path / 'tensorboard'}" in lines
    assert f"watch   rl-pbt play {tmp_path}" in lines


@pytest.mark.parametrize("compacted", [False, True])
def test_what_is_not_there_is_not_offered(tmp_path: Path, compacted: bool) -> None:
    """Checkpoints and curves are not kept in a repository, and a compacted run has no winner that could play."""
    run = make_run(tmp_path)
    if compacted:
        winner = report.summarise(run).methods["pbt"].seeds[0].winner
        assert winner is not None
        run.checkpoints("pbt", 0).save(winner.proposal, {"weights": np.zeros(1)})
        assert "\nwatch " in ending_of(run)
        compact(run)
    told = ending_of(run)
    assert "\nreport " in told and "\nwatch " not in told and "\ncurves " not in told


def test_damage_is_named_by_file_and_line(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    ledger = run.ledger("pbt", 0)
    events = ledger.read()
    ledger.path.unlink()
    run.ledger("pbt", 0).append(events[1:])  # a result whose proposal is gone
    with pytest.raises(UserError, match=r"ledger\.jsonl, line \d+ is damaged"):
        read_history(run, "pbt", 0)
    ledger.path.write_text('{"event":"proposed"}\n{"event":"danced"}\n')
    with pytest.raises(UserError, match="line 1 is damaged"):
        read_history(run, "pbt", 0)
    run.manifest_path.write_text('{"status": "finished", "command": "", "version": 2, "baseline": []}')
    with pytest.raises(UserError, match="config"):
        report.summarise(run)


def test_the_command_line(tmp_path: Path) -> None:
    make_run(tmp_path / "run")
    command = [sys.executable, "-m", "rl_pbt.report"]
    done = subprocess.run([*command, tmp_path / "run"], capture_output=True, text=True, check=True)
    assert f"report  {tmp_path / 'run' / 'report.html'}" in [line.rstrip() for line in done.stdout.splitlines()]
    failed = subprocess.run([*command, tmp_path / "none"], capture_output=True, text=True, check=False)
    assert failed.returncode == 2
    assert failed.stderr.startswith("error: ") and "is not a run" in failed.stderr and len(failed.stderr.splitlines()) == 1


def test_a_task_that_is_not_reinforcement_learning_has_words_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path, seeds=2, task=TRANSLATOR, eval_units=900)
    page = reported(run)
    told = ending_of(run)
    assert not OF_REINFORCEMENT_LEARNING.search(page) and not OF_REINFORCEMENT_LEARNING.search(told)
    for words in ("# Translator", "## Test BLEU", "mean test BLEU", "above the baseline", "training sentences", "(evaluations)"):
        assert words in page
    assert "test BLEU" in told and "sentences" in told and "(evaluations)" in " ".join(told.split())
    unknown = make_run(tmp_path / "unknown", task=TRANSLATOR, baseline=None)
    assert "The baseline was not measured, so it is unknown whether anything was learned." in reported(unknown)


def test_a_task_without_a_baseline_is_not_blamed_for_it(tmp_path: Path) -> None:
    options = {**TRANSLATOR["task_options"], "program": ["./train"]}
    del options["target"], options["quantum"]
    run = make_run(tmp_path, task={"task": "command", "task_options": options}, baseline=None)
    assert report.summarise(run).caveats == (EXPLORES_LITTLE,)
    assert "above the" not in reported(run)


def documented(page: str) -> dict[str, set[str]]:
    """Names in the first cells of the tables, by the heading they stand under."""
    sections = {}
    for section in re.split(r"\n##+ ", page):
        heading = section.partition("\n")[0].lstrip("# ").replace("&lt;", "<").replace("&gt;", ">")
        cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
        sections[heading] = {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}
    return sections


def fields_in(value: dict[str, Any], *opened: str) -> set[str]:
    """Names of its fields; those of the objects that are `opened`, with a dot."""
    inner = {f"{name}.{field}" for name in opened for field in value[name]}
    return {name for name in value if name not in opened} | inner


def test_every_field_of_the_summary_is_documented_and_every_documented_one_is_there(tmp_path: Path) -> None:
    summary = summarise(make_run(tmp_path, seeds=3))
    sections = documented((ROOT / "docs" / "summary.md").read_text(encoding="utf-8"))
    method, comparison = summary["methods"]["pbt"], summary["comparison"]
    seed = method["seeds"]["0"]
    assert sections["summary.json"] == {name for name in summary if name != "methods"} | {"methods.<method>"}
    assert sections["methods.<method>"] == {name for name in method if name != "seeds"} | {"seeds.<seed>"}
    assert sections["methods.<method>.seeds.<seed>"] == fields_in(seed, "cost", "winner", "diagnostics") | {"winner"}
    of_comparison = fields_in(comparison, "baseline") - {"mean_test_returns", "iqm", "baseline.margins"}
    of_methods = {f"{name}.<method>" for name in ("mean_test_returns", "iqm", "baseline.margins")}
    assert sections["comparison"] == of_comparison | of_methods | {"baseline"}
    assert set(comparison["difference"]) == {"value", "interval", "unit"}
    assert Estimate.from_json(comparison["difference"]).to_json() == comparison["difference"]
    assert summary["version"] == 2 and summary["task_options"]["env"] == "Made/Up-v0"


def ledgers_of_version_1() -> list[Path]:
    """The smallest first."""
    found = [path.parent for path in REFERENCE.glob("*/manifest.json") if "version" not in json.loads(path.read_text())]
    return sorted(found, key=lambda folder: sum(path.stat().st_size for path in folder.rglob("*.jsonl")))


@pytest.mark.parametrize("folder", ledgers_of_version_1()[:1], ids=lambda folder: folder.name)
def test_a_run_of_version_1_is_reported_as_it_was(folder: Path, tmp_path: Path) -> None:
    run = RunFolder(shutil.copytree(folder, tmp_path / "run"))
    recorded = json.loads((folder / "summary.json").read_text())
    assert reported(run) == (folder / "summary.md").read_text()
    assert summarise(run) == recorded and recorded["task_options"]["env"] == "ALE/Pacman-v5"
