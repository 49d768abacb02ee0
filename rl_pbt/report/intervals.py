"""95 % intervals: over a few seeds by formulas that hold for few, over many episodes by resampling.

A percentile bootstrap over seeds is too narrow: with normal returns it covers the mean in 74 % of runs with 3 seeds, 84 % with 6
and 89 % with 10. The intervals here cover 93 to 97 %, except that of the probability of improvement, which covers 90 % with 3
seeds (`tests/rl_pbt/report/test_coverage.py`; docs/how-sure.md says what remains of that if returns are skewed or some seeds
fail). The alternative was a studentised bootstrap of the mean. It covers less with normal returns, 85 % with 3 seeds and 93 %
with 6, and more with exponential ones from 6 seeds on, 93 % against 89 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri, stdtrit

from rl_pbt.arrays import Floats

Interval: TypeAlias = tuple[float, float]

LEVEL = 0.95
TAIL = (1 - LEVEL) / 2  # on each side
Z = float(ndtri(1 - TAIL))  # within so many standard errors lies LEVEL of a normal distribution
EDGE = 1e-9  # the least distance of a probability from 0 and 1


def t_quantile(degrees: Floats | float) -> Floats:
    """Within so many standard errors lies LEVEL of Student's t distribution."""
    quantile: Floats = stdtrit(degrees, 1 - TAIL)
    return quantile


def of_mean(values: Floats) -> Interval:
    """Student's t interval of the mean of at least two values."""
    return _around(float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(len(values)), len(values) - 1)


def of_difference(first: Floats, second: Floats) -> Interval:
    """Welch's (1947) interval of the mean of `first` minus that of `second`, at least two values each, independent samples."""
    error, degrees = welch(first.std(ddof=1), len(first), second.std(ddof=1), len(second))
    return _around(float(np.mean(first)) - float(np.mean(second)), float(error), float(degrees))


def welch(spread_1: Floats | float, count_1: int, spread_2: Floats | float, count_2: int) -> tuple[Floats, Floats]:
    """Standard error and degrees of freedom of a difference of means, from the samples' standard deviations and sizes."""
    share_1, share_2 = np.square(spread_1) / count_1, np.square(spread_2) / count_2
    squared = np.asarray(share_1 + share_2)
    parts = np.asarray(share_1**2 / (count_1 - 1) + share_2**2 / (count_2 - 1))
    degrees = np.divide(squared**2, parts, out=np.ones_like(squared), where=parts > 0)
    return np.sqrt(squared), degrees


def of_iqm(values: Floats) -> Interval:
    """Interval of the interquartile mean of at least two values: Tukey & McLaughlin's (1963) for a trimmed mean.

    The standard error is Yuen's (1974), for which the values that are cut off are replaced by the outermost that are kept.
    """
    ordered = np.sort(values)
    cut = len(ordered) // 4
    kept = ordered[cut : len(ordered) - cut]
    winsorised = np.clip(ordered, kept[0], kept[-1])
    squares = float(np.square(winsorised - winsorised.mean()).sum())
    return _around(float(np.mean(kept)), math.sqrt(squares / (len(kept) * (len(kept) - 1))), len(kept) - 1)


def of_jackknife(value: float, left_out: Floats) -> Interval:
    """Tukey's (1958) interval of a statistic of `n` independent values, from what it is without each of them: [n].

    For a mean it is Student's t interval.
    """
    count = len(left_out)
    squares = float(np.square(left_out - left_out.mean()).sum())
    return _around(value, math.sqrt(squares * (count - 1) / count), count - 1)


def of_improvement(probability: float, count_1: int, count_2: int) -> Interval:
    """Interval of an estimate of P(X > Y) + P(X = Y) / 2 over all pairs of `count_1` and `count_2` independent values: Newcombe's
    (2006) method 5.

    It holds all probabilities from which the estimate is not too far by Hanley & McNeil's (1982) variance. So it stays within 0
    and 1, and has a width even if all X are above all Y. If X and Y rise and fall together, it is wider than necessary.
    """
    more = (count_1 + count_2) / 2 - 1

    def too_far(true: float) -> float:
        """Above 0 where the estimate is farther from the true probability than 19 in 20 estimates would be."""
        shape = 1 + more * ((1 - true) / (2 - true) + true / (1 + true))
        return (probability - true) ** 2 - Z**2 * true * (1 - true) * shape / (count_1 * count_2)

    inner = min(max(probability, EDGE), 1 - EDGE)  # the variance is 0 at 0 and 1 themselves
    low = 0.0 if probability == 0 else float(brentq(too_far, 0.0, inner))
    high = 1.0 if probability == 1 else float(brentq(too_far, inner, 1.0))
    return low, high


def of_mean_improvement(probabilities: Sequence[float], count_1: int, count_2: int) -> Interval:
    """Interval of the mean of several such estimates, which are independent of each other: Zou & Donner's (2008), from theirs."""
    each = np.array([of_improvement(probability, count_1, count_2) for probability in probabilities])  # [estimate, end]
    value = float(np.mean(probabilities))
    below, above = np.sqrt(np.square(each.T - probabilities).sum(axis=1)) / len(each)
    return max(0.0, value - float(below)), min(1.0, value + float(above))


def of_draws(draws: Floats) -> Interval:
    """Percentiles of a bootstrap's draws."""
    low, high = np.percentile(draws, [100 * TAIL, 100 * (1 - TAIL)])
    return float(low), float(high)


def _around(value: float, error: float, degrees: float) -> Interval:
    half = float(t_quantile(degrees)) * error
    return value - half, value + half
