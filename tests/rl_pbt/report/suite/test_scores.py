"""Numbers of a suite against their definitions, written out by other means."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import friedmanchisquare, trim_mean, ttest_1samp

from rl_pbt.arrays import Floats
from rl_pbt.errors import UserError
from rl_pbt.report.evidence import read_evidence
from rl_pbt.report.statistics import Estimate, improvement_of, iqm_of
from rl_pbt.report.suite import MeasuredCell, SuiteScores, scores_of
from rl_pbt.report.suite.scores import (
    Scale,
    aggregated,
    aggregated_iqm,
    improvement,
    interquartile_mean,
    joined_by,
    mean_score,
    optimality_gap,
    profile,
)
from tests.rl_pbt.report.test_report import make_run

PAGE = (Path(__file__).resolve().parents[4] / "docs" / "how-sure.md").read_text(encoding="utf-8")


def scores(seeds: int = 6, cells: int = 5, *, seed: int = 0, shift: float = 0.0) -> Floats:
    return np.random.default_rng(seed).normal(0.5 + shift, 0.4, (seeds, cells))


def suite(by_method: dict[str, Floats]) -> SuiteScores:
    cells = next(iter(by_method.values())).shape[1]
    return SuiteScores(cells=(None,) * cells, by_method=by_method)  # type: ignore[arg-type]  # ranks look at scores alone


def test_aggregates_are_those_of_rliable() -> None:
    of = scores()
    assert float(interquartile_mean(of)) == pytest.approx(trim_mean(of, 0.25, axis=None), abs=1e-12)
    assert float(optimality_gap(of)) == pytest.approx(1 - np.minimum(of, 1.0).mean(), abs=1e-12)
    several = np.stack([of, of + 1])
    assert interquartile_mean(several) == pytest.approx([interquartile_mean(of), interquartile_mean(of + 1)])


@pytest.mark.parametrize("aggregate", [mean_score, optimality_gap])
def test_an_aggregate_that_is_a_mean_has_students_interval_over_seeds(aggregate: Callable[[Floats], Floats]) -> None:
    """A seed is one population run in each cell; cells that never vary leave no doubt, however far apart they are."""
    of = scores()
    of_seeds = np.array([float(aggregate(seed[None])) for seed in of])
    expected = ttest_1samp(of_seeds, 0.0).confidence_interval()
    assert aggregated(of, aggregate).interval == pytest.approx((expected.low, expected.high))
    fixed = np.tile([0.0, 10.0, -3.0], (6, 1))
    estimate = aggregated(fixed, aggregate)
    assert estimate.interval == pytest.approx((estimate.value, estimate.value))
    assert aggregated(of[:1], aggregate).interval is None


def test_the_interval_of_the_iqm_is_that_of_a_run_where_there_is_one_cell() -> None:
    of = scores(seeds=9, cells=1)
    assert aggregated_iqm(of) == iqm_of(of.tolist())
    several = scores(seeds=9, cells=4)
    assert aggregated_iqm(several) == aggregated(several, interquartile_mean)


SEEDS_OF_CELLS = [(seeds, cells) for seeds in (3, 6, 10) for cells in (1, 2, 4)]


def coverage(seeds: int, cells: int, runs: int = 1_000) -> dict[str, float]:
    """How often intervals hold the true value, in percent: returns are normal, and cells are not equally hard."""
    level, rng = np.linspace(0.2, 1.0, cells), np.random.default_rng(seeds * cells)
    many = level + 0.3 * rng.standard_normal((200_000, cells))
    named: dict[str, tuple[Callable[[Floats], Estimate], float]] = {
        "IQM": (aggregated_iqm, float(interquartile_mean(many))),
        "mean": (partial(aggregated, aggregate=mean_score), float(level.mean())),
        "optimality gap": (partial(aggregated, aggregate=optimality_gap), float(optimality_gap(many))),
    }
    drawn = level + 0.3 * rng.standard_normal((runs, 2, seeds, cells))
    found = {name: np.mean([covers(of(first), true) for first, _ in drawn]) for name, (of, true) in named.items()}
    found["probability of improvement"] = np.mean([covers(improvement(first, second), 0.5) for first, second in drawn])
    return {name: 100 * float(share) for name, share in found.items()}


def covers(estimate: Estimate, true: float) -> bool:
    assert estimate.interval is not None
    return estimate.interval[0] <= true <= estimate.interval[1]


@pytest.mark.parametrize(("seeds", "cells"), SEEDS_OF_CELLS)
def test_intervals_of_a_suite_cover_what_they_say(seeds: int, cells: int) -> None:
    """The page tells what is left of it; a percentile bootstrap contains the mean of 3 seeds in 74 %."""
    found = coverage(seeds, cells)
    assert 92 <= found["mean"] <= 98 and (88 if (seeds, cells) == (3, 2) else 92) <= found["IQM"] <= 98, found
    assert found["optimality gap"] >= 88 and found["probability of improvement"] >= 88, found
    row = " | ".join([str(seeds), str(cells), *(f"{share:.0f} %" for share in found.values())])
    assert f"\n| {row} |\n" in PAGE, f"docs/how-sure.md should say | {row} |"


def test_improvement_is_the_share_of_pairs_in_each_cell() -> None:
    first, second = np.round(scores(seed=1), 1), np.round(scores(seed=2), 1)
    by_hand = [
        np.mean([(x > y) + (x == y) / 2 for x, y in itertools.product(first[:, cell], second[:, cell])])
        for cell in range(first.shape[1])
    ]
    estimate = improvement(first, second)
    assert estimate.value == pytest.approx(np.mean(by_hand), abs=1e-12)
    assert estimate.interval is not None and estimate.interval[0] < estimate.value < estimate.interval[1]
    assert improvement(second, first).value == pytest.approx(1 - estimate.value, abs=1e-12)
    assert improvement(first, first).value == 0.5
    low, high = improvement(first + 9, first).interval or (0.0, 0.0)
    assert 0.6 < low < 1 and high == 1, "all seeds of one above all of the other is no certainty"
    of_run = improvement_of(first[:, :1].tolist(), second[:, :1].tolist())
    assert improvement(first[:, :1], second[:, :1]).interval == pytest.approx(of_run.interval), "one cell is a run"


def test_a_profile_is_the_share_of_runs_above_each_score() -> None:
    of, thresholds = scores(), np.linspace(-1, 2, 31)
    share, low, high = profile(of, thresholds)
    assert share == pytest.approx([np.mean(of > threshold) for threshold in thresholds])
    assert share[0] == 1 and share[-1] == 0 and (np.diff(share) <= 0).all()
    assert (low <= share + 1e-12).all() and (share <= high + 1e-12).all()


def test_ranks_are_of_each_cells_mean_and_ties_share_theirs() -> None:
    by_method = {
        "a": np.array([[3.0, 1.0], [5.0, 1.0]]),
        "b": np.array([[1.0, 1.0], [1.0, 1.0]]),
        "c": np.array([[2.0, 0.0]] * 2),
    }
    assert suite(by_method).ranks == {"a": 1.25, "b": 2.25, "c": 2.5}
    assert sum(suite({str(k): scores(seed=k) for k in range(7)}).ranks.values()) == pytest.approx(7 * 8 / 2)


# q of Demšar 2006, Table 5a, at 5 %.
@pytest.mark.parametrize(("methods", "q"), [(3, 2.343), (4, 2.569), (5, 2.728), (6, 2.850), (10, 3.164)])
def test_the_critical_difference_is_that_of_the_published_table(methods: int, q: float) -> None:
    found = suite({str(k): scores(cells=14, seed=k) for k in range(methods)}).critical_difference
    assert found == pytest.approx(q * math.sqrt(methods * (methods + 1) / (6 * 14)), abs=2e-3)


def test_few_cells_or_methods_are_no_ground_for_a_test_of_ranks() -> None:
    few = suite({"a": scores(cells=2), "b": scores(cells=2, seed=1), "c": scores(cells=2, seed=2)})
    assert few.critical_difference is None and few.friedman_p is None
    assert suite({"a": scores(), "b": scores(seed=1)}).friedman_p is None
    three = {name: scores(cells=8, seed=k, shift=k) for k, name in enumerate("abc")}
    assert suite(three).friedman_p == pytest.approx(friedmanchisquare(*(of.mean(axis=0) for of in three.values())).pvalue)
    assert suite(dict.fromkeys("abc", scores())).friedman_p == 1.0
    assert suite({"a": scores(cells=14), "b": scores(cells=14, seed=1, shift=9.0)}).critical_difference is None


@pytest.mark.parametrize(("methods", "cells"), [(3, 4), (4, 4), (4, 5), (6, 14)])
def test_methods_that_are_equal_are_seldom_told_apart(methods: int, cells: int) -> None:
    apart = 0
    for run in range(400):
        drawn = np.random.default_rng(run).normal(size=(methods, 3, cells))
        of = suite({str(k): values for k, values in enumerate(drawn)})
        apart += len(of.joined) != 1 or of.joined[0] != (min(of.ranks.values()), max(of.ranks.values()))
    assert apart / 400 < 0.05 + 0.025  # two standard errors


@pytest.mark.parametrize(
    ("ranks", "difference", "bars"),
    [
        ([1.0, 2.0, 3.0], 0.5, []),
        ([1.0, 2.0, 3.0], 1.0, [(1.0, 2.0), (2.0, 3.0)]),
        ([1.0, 2.0, 3.0], 2.0, [(1.0, 3.0)]),
        ([1.5, 1.5], 1.0, [(1.5, 1.5)]),
        ([1.0, 1.2, 3.0, 4.0, 5.8], 2.0, [(1.0, 3.0), (3.0, 4.0), (4.0, 5.8)]),
    ],
)
def test_bars_join_the_longest_stretches_that_do_not_differ(
    ranks: Sequence[float], difference: float, bars: list[tuple[float, float]]
) -> None:
    assert joined_by(dict(enumerate(ranks)), difference) == bars  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> MeasuredCell:
    run = make_run(tmp_path_factory.mktemp("cell") / "run", seeds=4, bonus=5.0)
    return MeasuredCell(name="one", evidence=read_evidence(run), scale=Scale(zero=0.0, one=10.0, source="made up"))


def test_scores_are_normalised_means_of_every_seed(cell: MeasuredCell) -> None:
    found = scores_of([cell, cell])
    assert found.methods == list(cell.evidence.config.methods)
    for method, of in found.by_method.items():
        means = [np.mean(history.test.returns) / 10.0 for history in cell.evidence.histories[method].values() if history.test]
        assert of.shape == (4, 2) and of[:, 0] == pytest.approx(means) and of[:, 1] == pytest.approx(means)
    first, second = found.methods
    assert np.mean(found.by_seed(first)) - np.mean(found.by_seed(second)) == pytest.approx(0.5)


def test_a_cell_without_a_test_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    run = make_run(tmp_path / "run", seeds=2)
    for ledger in run.folder.rglob("*.jsonl"):
        ledger.write_bytes(b"")
        break
    run.write_manifest(replace(run.manifest(), status="interrupted"))
    with pytest.raises(UserError, match="is unfinished on seed 0"):
        scores_of([MeasuredCell(name="one", evidence=read_evidence(run), scale=Scale(zero=0.0, one=1.0, source="made up"))])
