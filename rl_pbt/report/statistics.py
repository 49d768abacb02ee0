"""What the numbers of several runs say: estimates and their intervals.

The independent unit is a population run, that is one seed of one method: members of a population share ancestors, so they are not
independent samples, and test episodes of one winner say nothing about another seed. If there are too few seeds for an interval
over seeds, an interval over test episodes is given instead, and its unit says so.

Definitions follow rliable (Agarwal et al. 2021, arXiv 2108.13264): the interquartile mean is the mean trimmed by a quarter on
each side, and the probability of improvement counts ties as a half. Deviation: intervals over seeds are those of `intervals`,
since a percentile bootstrap is too narrow for few seeds. Over episodes it is a stratified bootstrap, as in rliable; its generator
has a fixed seed, so the same ledger gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, final

import numpy as np
import numpy.typing as npt
from scipy.stats import permutation_test

from rl_pbt.arrays import Floats
from rl_pbt.records import JSON, Fields
from rl_pbt.report import intervals
from rl_pbt.report.intervals import Interval
from rl_pbt.tasks.words import Words
from rl_pbt.text import NOTHING

ReturnsBySeed: TypeAlias = Sequence[Sequence[float]]  # test scores of each seed's winner
Unit: TypeAlias = Literal["seeds", "episodes"]

LEAST_SEEDS = 3  # with fewer there is no interval over seeds
REPETITIONS = 10_000  # of the bootstrap
REPETITIONS_OF_PAIRS = 2_000  # as in rliable's own example; each costs a sort
RELABELLINGS = 2**14  # that a permutation test draws if there are more than that: up to 14 paired seeds it is exact
ROUNDING = 1e-12  # relative error of a mean of scores, with room to spare


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A value with its 95 % interval over `unit`, which is None if there is too little data for one.

    An episode is whatever gives one score in the task at hand.
    """

    value: float
    interval: Interval | None
    unit: Unit

    @property
    def sign(self) -> int:
        """1 or -1 if the whole interval lies on that side of 0, otherwise 0."""
        if self.interval is None:
            return 0
        return int(self.interval[0] > 0) - int(self.interval[1] < 0)

    def over(self, words: Words) -> str:
        """What the interval is over, in the words of a task."""
        return "seeds" if self.unit == "seeds" else words.episodes

    def interval_text(self, words: Words) -> str:
        """The interval and what it is over; a dash if there is none."""
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
        """The estimate that `to_json` wrote. Raises KeyError, TypeError or ValueError for anything else."""
        interval = fields["interval"]
        if interval is not None:
            low, high = interval
            interval = (float(low), float(high))
        return cls(value=float(fields["value"]), interval=interval, unit=fields["unit"])


def iqm(values: npt.ArrayLike) -> Floats:
    """Mean of what remains after cutting off a quarter at either end, along the last axis."""
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


def _seeds(returns: ReturnsBySeed) -> Floats | None:
    """The mean of each seed, [seeds]; None if there are too few for an interval over seeds."""
    return np.array([np.mean(values) for values in returns]) if len(returns) >= LEAST_SEEDS else None


def _episodes(returns: ReturnsBySeed) -> list[Floats]:
    """The episodes of each seed, which are resampled within the seed."""
    return [np.asarray(values, dtype=np.float64) for values in returns]


def _of_seeds(value: float, interval: Interval | None) -> Estimate:
    return Estimate(value=value, interval=interval, unit="seeds")


def _of_episodes(value: float, draws: Floats, *strata: Floats) -> Estimate:
    """An estimate over episodes; without an interval if a stratum has a single value, which never varies when resampled."""
    varies = min(len(values) for values in strata) > 1
    return Estimate(value=value, interval=intervals.of_draws(draws) if varies else None, unit="episodes")


def _generator() -> np.random.Generator:
    return np.random.default_rng(0)


def _resampled(values: Floats, rng: np.random.Generator, repetitions: int = REPETITIONS) -> Floats:
    """`values` drawn with replacement: [repetitions, len(values)]."""
    return values[rng.integers(len(values), size=(repetitions, len(values)))]


def _resampled_means(strata: Sequence[Floats], rng: np.random.Generator) -> Floats:
    """The mean over the strata of their resampled means: [repetitions]."""
    means: Floats = np.mean([_resampled(values, rng).mean(axis=1) for values in strata], axis=0)
    return means


def _mean(strata: Sequence[Floats]) -> float:
    return float(np.mean([values.mean() for values in strata]))


def mean_of(returns: ReturnsBySeed) -> Estimate:
    """Mean over seeds of the mean test score."""
    if (seeds := _seeds(returns)) is not None:
        return _of_seeds(float(np.mean(seeds)), intervals.of_mean(seeds))
    episodes = _episodes(returns)
    return _of_episodes(_mean(episodes), _resampled_means(episodes, _generator()), *episodes)


def iqm_of(returns: ReturnsBySeed) -> Estimate:
    """Interquartile mean over seeds of the mean test score; with few seeds, over all test episodes."""
    if (seeds := _seeds(returns)) is not None:
        return _of_seeds(float(iqm(seeds)), intervals.of_iqm(seeds))
    episodes, rng = _episodes(returns), _generator()
    draws = iqm(np.concatenate([_resampled(values, rng) for values in episodes], axis=1))
    return _of_episodes(float(iqm(np.concatenate(episodes))), draws, *episodes)


def _paired(first: ReturnsBySeed, second: ReturnsBySeed) -> Floats | None:
    """The difference of each seed, [seeds]; position i of both is the same seed. None if there are too few.

    Raises ValueError for different numbers of seeds.
    """
    if len(first) != len(second):
        raise ValueError(f"pairs need the same seeds, but there are {len(first)} and {len(second)}")
    seeds_1, seeds_2 = _seeds(first), _seeds(second)
    return None if seeds_1 is None or seeds_2 is None else seeds_1 - seeds_2


def difference_of(first: ReturnsBySeed, second: ReturnsBySeed) -> Estimate:
    """Mean over seeds of `first` minus `second`, paired by seed: position i of both is the same seed.

    With few seeds, episodes are paired: both play episode i of a seed on the same environment seed. Raises ValueError for
    different numbers of seeds.
    """
    if (seeds := _paired(first, second)) is not None:
        return _of_seeds(float(np.mean(seeds)), intervals.of_mean(seeds))
    episodes = [one - other for one, other in zip(_episodes(first), _episodes(second), strict=True)]
    return _of_episodes(_mean(episodes), _resampled_means(episodes, _generator()), *episodes)


def spread_of(first: ReturnsBySeed, second: ReturnsBySeed) -> float | None:
    """Standard deviation over seeds of the paired differences; None if there are too few seeds."""
    seeds = _paired(first, second)
    return None if seeds is None else _without_rounding(float(np.std(seeds, ddof=1)), first, second)


def p_value_of(first: ReturnsBySeed, second: ReturnsBySeed) -> float | None:
    """How often equal methods would differ so much in either direction; None if there are too few seeds for an interval.

    A permutation test over the seeds' paired differences, whose signs are arbitrary if the methods are equal: exact up to 14
    seeds, by 16,384 draws beyond.
    """
    seeds = _paired(first, second)
    return None if seeds is None else _permuted((seeds,), np.mean, "samples")


def unpaired_difference_of(first: ReturnsBySeed, second: ReturnsBySeed) -> Estimate:
    """Mean over seeds of `first` minus that of `second`, for seeds that have nothing in common.

    If either has too few seeds, the episodes of both are resampled, separately for each method.
    """
    if (seeds := _unpaired(first, second)) is not None:
        return _of_seeds(float(np.mean(seeds[0]) - np.mean(seeds[1])), intervals.of_difference(*seeds))
    (episodes_1, episodes_2), rng = (_episodes(first), _episodes(second)), _generator()
    draws = _resampled_means(episodes_1, rng) - _resampled_means(episodes_2, rng)
    return _of_episodes(_mean(episodes_1) - _mean(episodes_2), draws, *episodes_1, *episodes_2)


def _unpaired(first: ReturnsBySeed, second: ReturnsBySeed) -> tuple[Floats, Floats] | None:
    """The means of the seeds of both; None if either has too few."""
    seeds_1, seeds_2 = _seeds(first), _seeds(second)
    return None if seeds_1 is None or seeds_2 is None else (seeds_1, seeds_2)


def unpaired_spread_of(first: ReturnsBySeed, second: ReturnsBySeed) -> float | None:
    """Root mean square of the two standard deviations over seeds; None if either has too few seeds."""
    seeds = _unpaired(first, second)
    if seeds is None:
        return None
    return _without_rounding(float(np.sqrt(np.mean([np.var(one, ddof=1) for one in seeds]))), first, second)


def _without_rounding(spread: float, *scores: ReturnsBySeed) -> float:
    """The spread, or 0 where it is no more than what rounding leaves of scores that differ by a constant."""
    largest = max(float(np.abs(values).max()) for of_method in scores for values in _episodes(of_method))
    return spread if spread > ROUNDING * largest else 0.0


def unpaired_p_value_of(first: ReturnsBySeed, second: ReturnsBySeed) -> float | None:
    """`p_value_of` for seeds that have nothing in common: if the methods are equal, any seed could belong to either.

    Exact for up to 16,384 ways to deal the seeds out, such as for 8 and 8 seeds; by 16,384 draws beyond.
    """
    seeds = _unpaired(first, second)
    return None if seeds is None else _permuted(seeds, _difference_of_means, "independent")


def _permuted(samples: Sequence[Floats], statistic: Callable[..., Floats], kind: Literal["samples", "independent"]) -> float:
    """The two-sided p value."""
    options = {"permutation_type": kind, "n_resamples": RELABELLINGS, "rng": _generator()}
    return float(permutation_test(samples, statistic, vectorized=True, **options).pvalue)


def _difference_of_means(first: Floats, second: Floats, axis: int = -1) -> Floats:
    difference: Floats = np.mean(first, axis=axis) - np.mean(second, axis=axis)
    return difference


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values corrected for their number, in the same order (Holm 1979, "A Simple Sequentially Rejective Multiple Test
    Procedure").
    """
    corrected, least = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = least
    return corrected


def improvement_of(first: ReturnsBySeed, second: ReturnsBySeed) -> Estimate:
    """Probability that a seed of `first` beats one of `second`; with few seeds, that an episode does, averaged over the seeds."""
    if (seeds := _unpaired(first, second)) is not None:
        value = probability_of_improvement(*seeds)
        return _of_seeds(value, intervals.of_improvement(value, *map(len, seeds)))
    (episodes_1, episodes_2), rng = (_episodes(first), _episodes(second)), _generator()
    pairs = list(zip(episodes_1, episodes_2, strict=True))
    draws = np.mean([_resampled_improvement(x, y, rng) for x, y in pairs], axis=0)
    value = float(np.mean([probability_of_improvement(x, y) for x, y in pairs]))
    return _of_episodes(value, draws, *episodes_1, *episodes_2)


def _resampled_improvement(first: Floats, second: Floats, rng: np.random.Generator) -> Floats:
    drawn_1 = _resampled(first, rng, REPETITIONS_OF_PAIRS)
    drawn_2 = _resampled(second, rng, REPETITIONS_OF_PAIRS)
    return np.array([probability_of_improvement(x, y) for x, y in zip(drawn_1, drawn_2, strict=True)])


def margin_of(returns: ReturnsBySeed, reference: Sequence[float]) -> Estimate:
    """Mean test score minus that of `reference`, the episodes of one fixed policy, whose sampling error is included."""
    fixed = np.asarray(reference, dtype=np.float64)
    if (seeds := _seeds(returns)) is not None:
        interval = intervals.of_difference(seeds, fixed) if len(fixed) > 1 else None
        return _of_seeds(float(np.mean(seeds) - fixed.mean()), interval)
    episodes, rng = _episodes(returns), _generator()
    draws = _resampled_means(episodes, rng) - _resampled(fixed, rng).mean(axis=1)
    return _of_episodes(_mean(episodes) - float(fixed.mean()), draws, *episodes, fixed)
