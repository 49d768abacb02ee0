"""Statistics against SciPy and known answers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, trim_mean

from rl_pbt.report import statistics


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 10, 33])
def test_iqm_is_scipys_trimmed_mean(count: int) -> None:
    values = np.random.default_rng(count).normal(size=(3, count))
    np.testing.assert_allclose(statistics.iqm(values), trim_mean(values, 0.25, axis=1))


def test_iqm_ignores_an_outlier() -> None:
    assert statistics.iqm([1.0, 2.0, 3.0, 1e9]) == 2.5


@pytest.mark.parametrize("seed", range(5))
def test_probability_of_improvement_is_mann_whitneys_u(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, 6, 12).astype(float), rng.integers(0, 5, 9).astype(float)  # with ties
    expected = mannwhitneyu(first, second, alternative="greater").statistic / (12 * 9)
    assert statistics.probability_of_improvement(first, second) == pytest.approx(expected)


def test_probability_of_improvement_counts_a_tie_as_half() -> None:
    same = np.array([1.0, 1.0, 2.0])
    assert statistics.probability_of_improvement(same, same) == 0.5
    assert statistics.probability_of_improvement(same + 5, same) == 1.0


def test_the_unit_is_the_seed_not_the_episode() -> None:
    """A thousand episodes of each seed leave the interval over seeds as wide as the seeds' means make it."""
    seeds = [[level] * 1000 for level in (0.0, 10.0, 20.0, 30.0, 40.0)]
    estimate = statistics.mean_of(seeds)
    assert estimate.unit == "seeds" and estimate.value == 20.0
    assert estimate.interval is not None
    assert estimate.interval[1] - estimate.interval[0] > 20


def test_few_seeds_give_an_interval_over_episodes_that_says_so() -> None:
    returns = np.random.default_rng(0).normal(5.0, 1.0, 400).tolist()
    estimate = statistics.mean_of([returns])
    assert estimate.unit == "episodes" and estimate.interval is not None
    half = (estimate.interval[1] - estimate.interval[0]) / 2
    assert half == pytest.approx(1.96 / 400**0.5, rel=0.1)


def test_a_single_episode_gives_no_interval() -> None:
    assert statistics.mean_of([[3.0]]).interval is None
    assert statistics.difference_of([[3.0]], [[1.0]]) == statistics.Estimate(value=2.0, interval=None, unit="episodes")


def test_difference_is_paired_by_seed() -> None:
    """Seeds that differ greatly from each other, and by the same amount in each pair: no doubt is left."""
    second = [[0.0], [100.0], [1000.0], [10.0], [-500.0]]
    first = [[values[0] + 1.0] for values in second]
    estimate = statistics.difference_of(first, second)
    assert estimate.interval == pytest.approx((1.0, 1.0)) and estimate.sign == 1
    assert statistics.difference_of(second, first).sign == -1
    with pytest.raises(ValueError, match="same seeds"):
        statistics.difference_of(first, second[:-1])


def test_few_seeds_are_paired_by_episode() -> None:
    """Of one agent twice nothing is left but zero, however much its episodes differ."""
    returns = [np.random.default_rng(0).normal(0, 100, 30).tolist()]
    estimate = statistics.difference_of(returns, returns)
    assert estimate.interval == (0.0, 0.0) and estimate.unit == "episodes"


@pytest.mark.parametrize("seed", range(3))
def test_the_p_value_counts_the_signs_that_give_as_much(seed: int) -> None:
    differences = np.random.default_rng(seed).normal(0.5, 1, 8)
    means = [abs(np.mean(differences * signs)) for signs in itertools.product((-1, 1), repeat=8)]
    expected = np.mean(np.array(means) >= abs(differences.mean()) - 1e-12)
    assert statistics.p_value_of(differences[:, None].tolist(), np.zeros((8, 1)).tolist()) == pytest.approx(expected)
    assert statistics.p_value_of([[1.0, 2.0]], [[0.0, 1.0]]) is None


def test_holms_correction_of_a_worked_example() -> None:
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([0.6, 0.7]) == [1.0, 1.0] and statistics.holm([]) == []


@pytest.mark.parametrize("seeds", [1, 5])
def test_estimates_are_reproducible_and_hold_their_value(seeds: int) -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(1, 1, (seeds, 20)).tolist(), rng.normal(0, 1, (seeds, 20)).tolist()
    for estimate in (statistics.difference_of, statistics.improvement_of):
        one = estimate(first, second)
        assert one == estimate(first, second)
        assert one.interval is not None and one.interval[0] <= one.value <= one.interval[1]
    assert statistics.iqm_of(first).value == pytest.approx(
        trim_mean(first[0], 0.25) if seeds == 1 else trim_mean(np.mean(first, axis=1), 0.25)
    )


def test_margin_includes_the_reference_s_own_error() -> None:
    margin = statistics.margin_of([[10.0, 10.0]], [0.0, 2.0, 4.0, 6.0])
    assert margin.value == 7.0 and margin.interval is not None
    assert margin.interval[0] < 6 and margin.interval[1] > 8


def test_unpaired_seeds_are_resampled_each_by_itself() -> None:
    """What pairs would leave no doubt of, seeds that have nothing in common do."""
    second = [[0.0], [100.0], [1000.0], [10.0], [-500.0]]
    first = [[values[0] + 1.0] for values in second]
    estimate = statistics.unpaired_difference_of(first, second[:-1] + second[-1:])
    assert estimate.value == pytest.approx(1.0) and estimate.unit == "seeds" and estimate.sign == 0
    assert statistics.unpaired_difference_of(second, first).value == pytest.approx(-1.0)
    apart = statistics.unpaired_difference_of([[5.0], [6.0], [7.0], [6.0]], [[0.0], [1.0], [2.0]])
    assert apart.value == pytest.approx(5.0) and apart.sign == 1
    few = statistics.unpaired_difference_of([[5.0, 6.0], [7.0, 8.0]], [[1.0, 2.0]] * 3)
    assert few.unit == "episodes" and few.value == pytest.approx(5.0)


def test_the_unpaired_interval_is_that_of_two_independent_means() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(1, 2, 60), rng.normal(0, 1, 40)
    interval = statistics.unpaired_difference_of(first[:, None].tolist(), second[:, None].tolist()).interval
    error = np.sqrt(first.var() / 60 + second.var() / 40)
    assert interval is not None
    assert interval == pytest.approx(first.mean() - second.mean() + np.array([-1.96, 1.96]) * error, abs=0.1 * error)


@pytest.mark.parametrize("counts", [(4, 4), (3, 6)])
def test_the_unpaired_p_value_counts_the_ways_to_deal_seeds_out(counts: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(1, 1, counts[0]), rng.normal(0, 1, counts[1])
    pooled = np.concatenate([first, second])
    dealt = [
        pooled[list(chosen)].mean() - np.delete(pooled, list(chosen)).mean()
        for chosen in itertools.combinations(range(len(pooled)), counts[0])
    ]
    found = first.mean() - second.mean()
    expected = min(1.0, 2 * min(np.mean(np.array(dealt) >= found - 1e-12), np.mean(np.array(dealt) <= found + 1e-12)))
    samples = first[:, None].tolist(), second[:, None].tolist()
    assert statistics.unpaired_p_value_of(*samples) == pytest.approx(expected)
    assert statistics.unpaired_p_value_of(samples[0][:2], samples[1]) is None
