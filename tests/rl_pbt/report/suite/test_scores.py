"""Numbers of a suite against their definitions, written out by other means."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import friedmanchisquare, trim_mean

from rl_pbt.arrays import Floats
from rl_pbt.errors import UserError
from rl_pbt.report.evidence import read_evidence
from rl_pbt.report.suite import MeasuredCell, SuiteScores, scores_of
from rl_pbt.report.suite.scores import (
    Scale,
    aggregated,
    improvement,
    interquartile_mean,
    joined_by,
    optimality_gap,
    profile,
    reached,
)
from tests.rl_pbt.report.test_report import make_run


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


@pytest.mark.parametrize("aggregate", [interquartile_mean, optimality_gap])
def test_intervals_draw_seeds_in_each_cell_by_itself(aggregate) -> None:
    """Against a bootstrap that is written out; cells that never vary give an interval of no width, however far apart they are."""
    of = scores()
    rng = np.random.default_rng(1)
    drawn = [aggregate(np.stack([rng.choice(cell, len(cell)) for cell in of.T], axis=1)) for _ in range(4_000)]
    low, high = aggregated(of, aggregate).interval or (0.0, 0.0)
    assert (low, high) == pytest.approx(tuple(np.percentile(drawn, [2.5, 97.5])), abs=0.02)
    fixed = np.tile([0.0, 10.0, -3.0], (6, 1))
    estimate = aggregated(fixed, aggregate)
    assert estimate.interval == (estimate.value, estimate.value)
    assert aggregated(of[:1], aggregate).interval is None


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
    assert improvement(first + 9, first).interval == (1.0, 1.0)


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


def test_how_much_the_first_needs_is_where_its_curve_crosses(cell: MeasuredCell) -> None:
    first, second = cell.evidence.config.methods
    assert reached(cell, second, first) is None, "it never is as good"
    share = reached(cell, first, second)
    assert share is not None and 0 < share <= 1


def test_a_cell_without_a_test_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    run = make_run(tmp_path / "run", seeds=2)
    for ledger in run.folder.rglob("*.jsonl"):
        ledger.write_bytes(b"")
        break
    with pytest.raises(UserError, match="is unfinished on seed 0"):
        scores_of([MeasuredCell(name="one", evidence=read_evidence(run), scale=Scale(zero=0.0, one=1.0, source="made up"))])
