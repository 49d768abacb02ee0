"""What the numbers of several runs say: estimates and their intervals.

The independent unit is a population run, one seed of one method: members of a population share ancestors, so they are
no sample, and test episodes of one winner say nothing about another seed. Where there are too few seeds for an interval
over seeds, an interval over test episodes is given instead, and its unit says so.

Definitions follow rliable (Agarwal et al. 2021, arXiv 2108.13264): the interquartile mean is the mean trimmed by a
quarter on each side, intervals are percentiles of a stratified bootstrap, and the probability of improvement counts
ties as a half. Deviation: the generator has a fixed seed, so the same ledger gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, final

import numpy as np
import numpy.typing as npt
from scipy.stats import permutation_test

from rl_pbt.arrays import Floats
from rl_pbt.records import JSON, Fields
from rl_pbt.tasks.base import Words
from rl_pbt.text import NOTHING

ReturnsBySeed: TypeAlias = Sequence[Sequence[float]]  # test scores of each seed's winner
Unit: TypeAlias = Literal["seeds", "episodes"]

LEAST_SEEDS = 3  # for an interval over seeds at all
REPETITIONS = 10_000
REPETITIONS_OF_PAIRS = 2_000  # as in rliable's own example; each costs a sort
LEVEL = 95.0  # percent


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A value with its 95 % interval over `unit`; None where there is too little to draw one from.

    Episodes are whatever gives one score of the task at hand.
    """

    value: float
    interval: tuple[float, float] | None
    unit: Unit

    @property
    def sign(self) -> int:
        """1 or -1 where the whole interval lies on that side of 0, otherwise 0."""
        if self.interval is None:
            return 0
        return int(self.interval[0] > 0) - int(self.interval[1] < 0)

    def over(self, words: Words) -> str:
        """What the interval was drawn from, in the words of a task."""
        return "seeds" if self.unit == "seeds" else words.episodes

    def interval_text(self, words: Words) -> str:
        """The interval and what it was drawn from; a dash where there is none."""
        if self.interval is None:
            return NOTHING
        low, high = self.interval
        return f"{low:.4g} to {high:.4g} ({self.over(words)})"

    def to_json(self) -> dict[str, JSON]:
        """Plain JSON, which `from_json` reads."""
        interval: JSON = None if self.interval is None else list(self.interval)
        return {"value": self.value, "interval": interval, "unit": self.unit}

    @classmethod
    def from_json(cls, fields: Fields) -> Estimate:
        """Raises KeyError, TypeError or ValueError for anything else."""
        interval = fields["interval"]
        if interval is not None:
            low, high = interval
            interval = (float(low), float(high))
        return cls(value=float(fields["value"]), interval=interval, unit=fields["unit"])


def iqm(values: npt.ArrayLike) -> Floats:
    """Mean of what a quarter cut off at either end leaves, along the last axis."""
    ordered = np.sort(np.asarray(values, dtype=np.float64), axis=-1)
    cut = ordered.shape[-1] // 4
    trimmed: Floats = np.mean(ordered[..., cut : ordered.shape[-1] - cut], axis=-1)
    return trimmed


def probability_of_improvement(first: Floats, second: Floats) -> float:
    """P(X > Y) + P(X = Y) / 2 for X of `first` and Y of `second`: Mann-Whitney's U over the number of pairs."""
    ordered = np.sort(second)
    below = np.searchsorted(ordered, first, side="left")
    not_above = np.searchsorted(ordered, first, side="right")
    return float(np.mean(below + not_above) / (2 * len(second)))


def _strata(returns: ReturnsBySeed) -> tuple[list[Floats], Unit]:
    """What is resampled, each stratum in itself: the seeds' means, or each seed's episodes where seeds are few."""
    episodes, unit = _episodes(returns)
    if len(episodes) >= LEAST_SEEDS:
        return [np.array([values.mean() for values in episodes])], "seeds"
    return episodes, unit


def _episodes(returns: ReturnsBySeed) -> tuple[list[Floats], Unit]:
    return [np.asarray(values, dtype=np.float64) for values in returns], "episodes"


def _generator() -> np.random.Generator:
    return np.random.default_rng(0)


def _resampled(values: Floats, rng: np.random.Generator, repetitions: int = REPETITIONS) -> Floats:
    """`values` drawn with replacement: [repetitions, len(values)]."""
    return values[rng.integers(len(values), size=(repetitions, len(values)))]


def _interval(draws: Floats, *strata: Floats) -> tuple[float, float] | None:
    if min(len(values) for values in strata) < 2:
        return None  # a single value never varies when it is resampled
    low, high = np.percentile(draws, [(100 - LEVEL) / 2, (100 + LEVEL) / 2])
    return float(low), float(high)


def mean_of(returns: ReturnsBySeed) -> Estimate:
    """Mean over seeds of the mean test score."""
    strata, unit = _strata(returns)
    rng = _generator()
    draws = np.mean([_resampled(values, rng).mean(axis=1) for values in strata], axis=0)
    value = float(np.mean([values.mean() for values in strata]))
    return Estimate(value=value, interval=_interval(draws, *strata), unit=unit)


def iqm_of(returns: ReturnsBySeed) -> Estimate:
    """Interquartile mean over seeds of the mean test score; over all test episodes where seeds are few."""
    strata, unit = _strata(returns)
    rng = _generator()
    draws = iqm(np.concatenate([_resampled(values, rng) for values in strata], axis=1))
    return Estimate(value=float(iqm(np.concatenate(strata))), interval=_interval(draws, *strata), unit=unit)


def difference_of(first: ReturnsBySeed, second: ReturnsBySeed) -> Estimate:
    """Mean over seeds of `first` minus `second`, paired by seed: position i of both is the same seed.

    Where seeds are few, episodes are paired: episode i of a seed is played on the same environment seed by both.
    """
    if len(first) != len(second):
        raise ValueError(f"pairs need the same seeds, but there are {len(first)} and {len(second)}")
    (strata_1, unit), (strata_2, _) = _strata(first), _strata(second)
    differences = [one - other for one, other in zip(strata_1, strata_2, strict=True)]
    rng = _generator()
    draws = np.mean([_resampled(values, rng).mean(axis=1) for values in differences], axis=0)
    value = float(np.mean([values.mean() for values in differences]))
    return Estimate(value=value, interval=_interval(draws, *differences), unit=unit)


def p_value_of(first: ReturnsBySeed, second: ReturnsBySeed) -> float | None:
    """How often equal methods would differ so much in either direction; None where there are too few seeds for an interval.

    A permutation test over the seeds' paired differences, whose signs are arbitrary if the methods are equal: exact up to 13
    seeds, by 9,999 draws beyond.
    """
    (strata_1, unit), (strata_2, _) = _strata(first), _strata(second)
    if unit != "seeds":
        return None
    differences = strata_1[0] - strata_2[0]
    test = permutation_test((differences,), np.mean, permutation_type="samples", vectorized=True, rng=_generator())
    return float(test.pvalue)


def unpaired_difference_of(first: ReturnsBySeed, second: ReturnsBySeed) -> Estimate:
    """Mean over seeds of `first` minus that of `second`, whose seeds have nothing in common: each is resampled by itself.

    Where the seeds of either are few, the episodes of both are resampled.
    """
    several = min(len(first), len(second)) >= LEAST_SEEDS
    (strata_1, unit), (strata_2, _) = (_strata(one) if several else _episodes(one) for one in (first, second))
    rng = _generator()
    draws_1, draws_2 = (
        np.mean([_resampled(values, rng).mean(axis=1) for values in strata], axis=0) for strata in (strata_1, strata_2)
    )
    value_1, value_2 = (float(np.mean([values.mean() for values in strata])) for strata in (strata_1, strata_2))
    return Estimate(value=value_1 - value_2, interval=_interval(draws_1 - draws_2, *strata_1, *strata_2), unit=unit)


def unpaired_p_value_of(first: ReturnsBySeed, second: ReturnsBySeed) -> float | None:
    """`p_value_of` for seeds that have nothing in common: if the methods are equal, any seed could have been of either.

    Exact for up to 9,999 ways to deal the seeds out, as of 7 and 7, by 9,999 draws beyond.
    """
    if min(len(first), len(second)) < LEAST_SEEDS:
        return None
    (strata_1, _), (strata_2, _) = _strata(first), _strata(second)
    samples = strata_1[0], strata_2[0]
    test = permutation_test(samples, _difference_of_means, permutation_type="independent", vectorized=True, rng=_generator())
    return float(test.pvalue)


def _difference_of_means(first: Floats, second: Floats, axis: int = -1) -> Floats:
    difference: Floats = np.mean(first, axis=axis) - np.mean(second, axis=axis)
    return difference


def holm(p_values: Sequence[float]) -> list[float]:
    """Each p value corrected for how many there are (Holm 1979, "A Simple Sequentially Rejective Multiple Test Procedure")."""
    corrected, least = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = least
    return corrected


def improvement_of(first: ReturnsBySeed, second: ReturnsBySeed) -> Estimate:
    """Probability that a seed of `first` beats one of `second`; where seeds are few, an episode, seed by seed."""
    (strata_1, unit), (strata_2, _) = _strata(first), _strata(second)
    pairs = list(zip(strata_1, strata_2, strict=True))
    rng = _generator()
    draws = np.mean([_resampled_improvement(x, y, rng) for x, y in pairs], axis=0)
    value = float(np.mean([probability_of_improvement(x, y) for x, y in pairs]))
    return Estimate(value=value, interval=_interval(draws, *strata_1, *strata_2), unit=unit)


def _resampled_improvement(first: Floats, second: Floats, rng: np.random.Generator) -> Floats:
    drawn_1 = _resampled(first, rng, REPETITIONS_OF_PAIRS)
    drawn_2 = _resampled(second, rng, REPETITIONS_OF_PAIRS)
    return np.array([probability_of_improvement(x, y) for x, y in zip(drawn_1, drawn_2, strict=True)])


def margin_of(returns: ReturnsBySeed, reference: Sequence[float]) -> Estimate:
    """Mean test score above that of `reference`, the episodes of one fixed policy, whose sampling error counts too."""
    strata, unit = _strata(returns)
    fixed = np.asarray(reference, dtype=np.float64)
    rng = _generator()
    draws = np.mean([_resampled(values, rng).mean(axis=1) for values in strata], axis=0)
    draws = draws - _resampled(fixed, rng).mean(axis=1)
    value = float(np.mean([values.mean() for values in strata]) - fixed.mean())
    return Estimate(value=value, interval=_interval(draws, *strata, fixed), unit=unit)
