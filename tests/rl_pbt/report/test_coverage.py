"""Printed intervals cover what they say: measured on made-up returns, and told in docs/how-sure.md."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from scipy.stats import norm, ttest_ind

from rl_pbt.arrays import Floats
from rl_pbt.report import intervals, statistics
from rl_pbt.report.statistics import Estimate

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "how-sure.md").read_text(encoding="utf-8")
RUNS = 2_000
FAILS, FAILED = 0.2, -8.0  # of seeds, and where these end, when the others are 0 on average with a deviation of 1
Drawn: TypeAlias = Callable[[np.random.Generator, int], Floats]


def normal(rng: np.random.Generator, seeds: int) -> Floats:
    return rng.standard_normal(seeds)


def skewed(rng: np.random.Generator, seeds: int) -> Floats:
    """Exponential."""
    return rng.standard_exponential(seeds)


def failing(rng: np.random.Generator, seeds: int) -> Floats:
    """Some seeds fail."""
    return rng.standard_normal(seeds) + FAILED * (rng.random(seeds) < FAILS)


RETURNS: dict[str, tuple[Drawn, float]] = {"normal": (normal, 0.0), "skewed": (skewed, 1.0), "failing": (failing, FAILS * FAILED)}


def in_seeds(values: Floats) -> list[list[float]]:
    return [[float(value)] for value in values]


def covers(estimate: Estimate, true: float) -> bool:
    assert estimate.interval is not None and estimate.unit == "seeds"
    return estimate.interval[0] <= true <= estimate.interval[1]


def trimmed_mean(draw: Drawn) -> float:
    return float(statistics.iqm(draw(np.random.default_rng(1), 400_000)))


def coverage(returns: str, seeds: int, runs: int = RUNS) -> dict[str, float]:
    """Of each estimate over seeds, the share of runs whose interval holds the true value."""
    draw, mean = RETURNS[returns]
    iqm = mean if seeds < 4 else trimmed_mean(draw)
    rng = np.random.default_rng(seeds)
    found = []
    for _ in range(runs):
        first, second = in_seeds(draw(rng, seeds)), in_seeds(draw(rng, seeds))
        found.append(
            (
                covers(statistics.mean_of(first), mean),
                covers(statistics.iqm_of(first), iqm),
                covers(statistics.difference_of(first, second), 0.0),
                covers(statistics.unpaired_difference_of(first, second), 0.0),
                covers(statistics.improvement_of(first, second), 0.5),
            )
        )
    names = ("mean", "iqm", "difference", "unpaired difference", "probability of improvement")
    return dict(zip(names, np.mean(found, axis=0).tolist(), strict=True))


@pytest.mark.parametrize("seeds", [3, 6, 10])
@pytest.mark.parametrize("returns", RETURNS)
def test_intervals_cover_what_they_say(returns: str, seeds: int) -> None:
    """Where returns are normal; and the page tells what is left where they are not."""
    found = coverage(returns, seeds)
    if returns == "normal":
        assert all(0.93 <= found[name] <= 0.97 for name in ("mean", "iqm", "difference", "unpaired difference")), found
    cells = " | ".join(f"{100 * share:.0f} %" for share in found.values())
    assert f"\n| {returns} | {seeds} | {cells} |\n" in PAGE, f"docs/how-sure.md should say | {returns} | {seeds} | {cells} |"


@pytest.mark.nightly
@pytest.mark.parametrize("seeds", range(3, 31, 3))
def test_intervals_of_normal_returns_cover_what_they_say_with_any_number_of_seeds(seeds: int) -> None:
    found = coverage("normal", seeds, 10_000)
    assert all(0.93 <= found[name] <= 0.97 for name in ("mean", "iqm", "difference", "unpaired difference")), found


@pytest.mark.parametrize("effect", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("seeds", [4, 6, 10])
def test_the_interval_of_the_probability_of_improvement_covers_it(effect: float, seeds: int) -> None:
    """Also where most seeds of one are above those of the other, where a bootstrap has no width; paired seeds make it wide."""
    rng = np.random.default_rng(seeds)
    shared = rng.standard_normal((2, 800, seeds))
    for correlation, most in ((0.0, 0.985), (0.8, 1.0)):
        first, second = np.sqrt(1 - correlation) * rng.standard_normal((2, 800, seeds)) + np.sqrt(correlation) * shared[0]
        found = [
            covers(statistics.improvement_of(in_seeds(one + effect), in_seeds(other)), float(norm.cdf(effect / np.sqrt(2))))
            for one, other in zip(first, second, strict=True)
        ]
        if correlation == 0.0:
            assert 0.93 <= np.mean(found) <= most
        else:
            assert np.mean(found) >= 0.97


@pytest.mark.parametrize("counts", [(3, 3), (4, 7), (10, 10)])
def test_intervals_are_those_of_the_tests_that_scipy_has(counts: tuple[int, int]) -> None:
    rng = np.random.default_rng(sum(counts))
    first, second = rng.normal(1, 2, counts[0]), rng.normal(0, 1, counts[1])
    expected = ttest_ind(first, second, equal_var=False).confidence_interval()
    assert intervals.of_difference(first, second) == pytest.approx((expected.low, expected.high))
    fixed = np.zeros(5)  # Welch's of a sample that does not vary is Student's of the other alone
    alone = ttest_ind(first, fixed, equal_var=False).confidence_interval()
    assert intervals.of_mean(first) == pytest.approx((alone.low, alone.high))
    p_value = ttest_ind(first, fixed, equal_var=False, trim=len(first) // 4 / len(first)).pvalue
    low, high = intervals.of_iqm(first - statistics.iqm(first))
    assert low == pytest.approx(-high)
    assert (p_value < 0.05) == (high < abs(float(statistics.iqm(first)))), "the interval excludes 0 where Yuen's test rejects it"


def test_values_that_are_all_the_same_leave_no_doubt() -> None:
    same = np.full(5, 3.0)
    assert intervals.of_mean(same) == intervals.of_iqm(same) == (3.0, 3.0)
    assert intervals.of_difference(same, same) == (0.0, 0.0)


def test_the_probability_of_improvement_stays_a_probability() -> None:
    low, high = intervals.of_improvement(1.0, 3, 3)
    assert 0.4 < low < 0.6 and high == 1.0
    assert intervals.of_improvement(0.0, 3, 3) == pytest.approx((0.0, 1 - low))
    middle = intervals.of_improvement(0.5, 10, 10)
    assert middle[0] + middle[1] == pytest.approx(1.0) and middle[0] == pytest.approx(0.26, abs=0.02)
