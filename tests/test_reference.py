"""Committed reference runs say what their ledgers say, and can still be read, whatever version made them."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from benchmarks import learning, measuring
from rl_pbt.errors import UserError
from rl_pbt.making import configure
from rl_pbt.report import summarise
from rl_pbt.report.chance import ALPHA, Chance, Samples, chances
from rl_pbt.report.statistics import difference_of, holm, mean_of, unpaired_difference_of
from rl_pbt.store.run import RunFolder
from rl_pbt.text import score_text

REFERENCE = Path(__file__).resolve().parent.parent / "results" / "reference"
INDEX = " ".join((REFERENCE / "README.md").read_text(encoding="utf-8").split())
RUNS = sorted(path.parent for path in REFERENCE.rglob("manifest.json") if any(path.parent.rglob("ledger.jsonl*")))
MEASURED_SINCE = {"test_episodes_excluded", "test_failure", "max_episode_frames", "cut_after_frames", "method_s", "eval_cpu_s"}
COMPUTED_SINCE = {"anytime_test_curve", "reach", "diagnostics"}  # from any ledger


def as_committed(found: Any, committed: Any) -> Any:
    """What was found, without fields that were added since; those that no ledger of that time has are empty."""
    if isinstance(found, list) and isinstance(committed, list) and len(found) == len(committed):
        return [as_committed(*pair) for pair in zip(found, committed, strict=True)]
    if not (isinstance(found, dict) and isinstance(committed, dict)):
        return found
    since = found.keys() - committed.keys()
    assert since <= MEASURED_SINCE | COMPUTED_SINCE and not any(found[name] for name in since & MEASURED_SINCE)
    return {name: as_committed(value, committed[name]) for name, value in found.items() if name not in since}


@pytest.mark.parametrize("folder", RUNS, ids=lambda folder: folder.name)
def test_a_summary_is_what_its_ledgers_give(folder: Path) -> None:
    committed = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    found = json.loads(json.dumps(summarise(RunFolder(folder)).to_json()))
    assert as_committed(found, committed) == committed
    manifest = RunFolder(folder).manifest()
    assert manifest.status == "finished" and manifest.last.commit and "dirty" not in manifest.last.commit


Scores = dict[str, list[list[float]]]  # test scores of each method, [seed][episode]


def scores_of(folder: str) -> Scores:
    summary = json.loads((REFERENCE / folder / "summary.json").read_text(encoding="utf-8"))
    return {name: [seed["test_returns"] for seed in one["seeds"].values()] for name, one in summary["methods"].items()}


def against(scores: Scores, reference: str) -> dict[str, Chance]:
    others = {name: Samples(first=scores[reference], second=scores[name]) for name in scores if name != reference}
    return chances(others, "all")


@pytest.mark.parametrize(
    ("folder", "digits"),
    [
        ("cartpole-v1", 1),
        ("acrobot-v1", 1),
        ("acrobot-v1-50k", 1),
        ("stable-baselines/pendulum-v1-ppo", 1),
        ("comparison/acrobot-v1/methods", 1),
        ("comparison/acrobot-v1/population-16", 1),
        ("comparison/cartpole-v1/methods", 1),
        ("comparison/lunarlander-v3/methods", 1),
        ("comparison/minatar-breakout-v1/methods", 2),
    ],
)
def test_the_index_says_how_pbt_and_random_search_differ(folder: str, digits: int) -> None:
    """Also where the files beside it show the intervals of an earlier version."""
    scores = scores_of(folder)
    difference = difference_of(scores["pbt"], scores["random"])
    assert difference.interval is not None
    value, low, high = (f"{number:+.{digits}f}" for number in (difference.value, *difference.interval))
    assert f"{value}, 95 % interval {low} to {high}" in INDEX, f"results/reference/README.md: {value}, {low} to {high}"


@pytest.mark.parametrize("folder", ["cartpole-v1", "lunarlander-v3", "minatar-breakout-v1"])
def test_the_index_says_what_could_have_been_found(folder: str) -> None:
    detectable = against(scores_of(f"comparison/{folder}/methods"), "pbt")["random"].detectable
    assert detectable is not None
    assert (
        f"; {score_text(float(f'{detectable:.3g}' if detectable > 100 else f'{detectable:.2g}'))} would have been found" in INDEX
    )


def test_the_index_says_what_the_choice_of_the_reference_decides() -> None:
    scores = scores_of("comparison/acrobot-v1/methods")
    (name, chance), *others = sorted(against(scores, "pbt").items(), key=lambda one: one[1].corrected or 0)
    assert name == "random" and chance.corrected == pytest.approx(0.033, abs=5e-4)
    assert all(chance.corrected is not None and chance.corrected >= ALPHA for _, chance in others)
    better = {
        name: f"{one.corrected:.3f}" for name, one in against(scores, "random").items() if one.corrected and one.corrected < ALPHA
    }
    assert all((interval := difference_of(scores[name], scores["random"]).interval) and interval[0] > 0 for name in better)
    by_p_value = {p_value: [name for name in better if better[name] == p_value] for p_value in ("0.033", "0.047")}
    assert sum(map(len, by_p_value.values())) == len(better) == 9
    for p_value, names in by_p_value.items():
        assert f"{', '.join(sorted(names)[:-1])} and {sorted(names)[-1]} p = {p_value}" in INDEX


def test_the_index_corrects_for_all_sizes_of_a_population() -> None:
    folders = [f"comparison/acrobot-v1/{name}" for name in ("population-4", "methods", "population-16", "population-32")]
    pairs = [{name: scores_of(folder)[name] for name in ("pbt", "random")} for folder in folders]
    p_values = [against(scores, "pbt")["random"].p_value for scores in pairs]
    corrected = [f"{p_value:.2g}" for p_value in holm([p_value for p_value in p_values if p_value is not None])]
    assert corrected == ["0.16", "0.0078", "0.1", "0.26"] and "p is 0.16, 0.008, 0.1 and 0.26" in INDEX


def test_the_index_says_what_bfloat16_costs_on_pacman_paired_and_not() -> None:
    one, other = (scores_of(f"pacman-{precision}")["random"] for precision in ("bfloat16", "float32"))
    paired, unpaired = difference_of(one, other), unpaired_difference_of(one, other)
    assert paired.interval is not None and unpaired.interval is not None
    assert f"{paired.value:.1f}, 95 % interval {paired.interval[0]:.1f} to {paired.interval[1]:+.1f}, paired by seed" in INDEX
    assert f"and has {unpaired.interval[0]:.1f} to {unpaired.interval[1]:+.1f}" in INDEX


def test_every_folder_is_in_the_index() -> None:
    folders = {path.name for path in REFERENCE.iterdir() if path.is_dir() and path.name != "comparison"}
    folders |= {f"comparison/{path.name}" for path in (REFERENCE / "comparison").iterdir()}
    assert RUNS and all(f"`{name}`" in INDEX for name in folders), folders


def learned(env: str, agent: str, frames: int) -> dict[str, Any] | None:
    """What five seeds or more have learned in so many frames, where that was measured."""
    for name in ("default_budget", "learning"):
        results = json.loads((REFERENCE / "learning" / f"{name}.json").read_text(encoding="utf-8"))["results"]
        row: dict[str, Any] | None = results.get(env, {}).get(agent)
        if row and abs(row["frames"] - frames) <= frames / 50 and len(row["mean_test_returns"]) >= 5:
            return row
    return None


@pytest.mark.parametrize("case", learning.CASES, ids=lambda case: case.env)
def test_the_default_agent_is_the_one_that_the_rule_names(case: learning.Case) -> None:
    """PPO if its lead is over a fiftieth of what it learns, and is shown or costs at most half the time again."""
    try:
        config = configure({"env": case.env})
    except UserError as error:
        pytest.skip(str(error))
    rows = {agent: learned(case.env, agent, config.budget) for agent in ("a2c", "ppo")}
    if None in rows.values():
        pytest.skip("not measured")
    found = {agent: [[value - row["random_policy"]] for value in row["mean_test_returns"]] for agent, row in rows.items() if row}
    lead = difference_of(found["ppo"], found["a2c"])
    seconds = {agent: row["train_wall_s"] for agent, row in rows.items() if row}
    ppo = lead.value > 0.02 * mean_of(found["ppo"]).value and (lead.sign > 0 or seconds["ppo"] <= 1.5 * seconds["a2c"])
    assert config.task_options["agent"] == ("ppo" if ppo else "a2c")


SCRIPTS = {"default_budget": "learning", "ppo": "parity"}  # that make a file of another name
FIGURES = sorted(path for path in REFERENCE.glob("*/*.json") if path.with_suffix(".md").exists() and path.stem != "summary")


@pytest.mark.parametrize("path", FIGURES, ids=lambda path: path.stem)
def test_a_committed_page_is_what_its_script_makes_of_the_figures_today(path: Path) -> None:
    script = import_module(f"benchmarks.{SCRIPTS.get(path.stem, path.stem)}")
    assert path.with_suffix(".md").read_text(encoding="utf-8").strip() == script.page(measuring.read(path)).strip()
