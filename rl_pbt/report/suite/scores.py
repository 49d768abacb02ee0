"""Normalised scores of all cells of a suite, and statistics of them, as rliable and Demšar define them.

Scores of several environments are put on one scale, which the suite declares: 0 is a random policy's score. The scores of a
method are an array [seed, cell]. Aggregates follow Agarwal et al. 2021 (arXiv 2108.13264): interquartile mean, optimality gap,
performance profile, probability of improvement. Deviation: only the band of a profile is their stratified bootstrap, which
resamples seeds in each cell; for few seeds it is too narrow, so that the other intervals are a jackknife over seeds or, of the
probability of improvement, a formula. Ranks, and the critical difference between them, follow Demšar 2006, "Statistical
Comparisons of Classifiers over Multiple Data Sets": a cell is a block, however many seeds it has.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias, final

import numpy as np
from scipy.stats import friedmanchisquare, rankdata, studentized_range

from rl_pbt.arrays import Floats
from rl_pbt.errors import UserError
from rl_pbt.report import intervals
from rl_pbt.report.comparison import unequal_budgets, without_a_test
from rl_pbt.report.evidence import Evidence, returns_of, total_cost
from rl_pbt.report.intervals import LEVEL, TAIL
from rl_pbt.report.statistics import LEAST_SEEDS, Estimate, iqm, iqm_of, probability_of_improvement

Aggregate: TypeAlias = Callable[[Floats], Floats]  # [..., seed, cell] -> [...]
REPETITIONS = 2_000  # of the bootstrap, as in rliable's own example
LEAST_BLOCKS = 3  # cells; ranks over fewer are not tested


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """The scale of a cell's normalised scores: 0 is the score `zero`, that of a random policy, and 1 is the score `one`.

    `source` says where the two come from.
    """

    zero: float
    one: float
    source: str

    def normalised(self, score: float) -> float:
        """A score on this scale: between 0 and 1 if it is between `zero` and `one`."""
        return (score - self.zero) / (self.one - self.zero)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredCell:
    """A cell that has ended: its evidence, and the scale of its normalised scores."""

    name: str
    evidence: Evidence
    scale: Scale


@final
@dataclass(frozen=True, kw_only=True)
class SuiteScores:
    """Normalised mean test scores of every method, each [seed, cell]; every seed of every cell has one."""

    cells: tuple[MeasuredCell, ...]
    by_method: Mapping[str, Floats]

    @property
    def methods(self) -> list[str]:
        """The methods, in their order."""
        return list(self.by_method)

    @cached_property
    def ranks(self) -> dict[str, float]:
        """Mean rank of each method over the cells, 1 for the best; equal methods share the mean of their ranks."""
        means = np.array([scores.mean(axis=0) for scores in self.by_method.values()])  # [method, cell]
        ranks = rankdata(-means, axis=0).mean(axis=1)
        return dict(zip(self.by_method, map(float, ranks), strict=True))

    @property
    def friedman_p(self) -> float | None:
        """How often methods that are all equal would have such different ranks; None for fewer than 3 methods or cells."""
        if len(self.by_method) < 3 or len(self.cells) < LEAST_BLOCKS:
            return None
        means = [scores.mean(axis=0) for scores in self.by_method.values()]
        if all(np.array_equal(one, means[0]) for one in means):
            return 1.0
        return float(friedmanchisquare(*means).pvalue)

    @property
    def critical_difference(self) -> float | None:
        """By how much mean ranks must differ (Nemenyi, level 5 %); None for fewer than 3 methods or cells.

        Two methods on few cells would reach it by chance more often: 13 % of the time with 4 cells.
        """
        methods, blocks = len(self.by_method), len(self.cells)
        if methods < 3 or blocks < LEAST_BLOCKS:
            return None
        quantile = float(studentized_range.ppf(LEVEL, methods, math.inf)) / math.sqrt(2)
        return quantile * math.sqrt(methods * (methods + 1) / (6 * blocks))

    @property
    def joined(self) -> list[tuple[float, float]]:
        """Stretches of mean ranks whose methods are not shown to differ; a single one if Friedman's test shows nothing."""
        if self.critical_difference is None or self.friedman_p is None:
            return []
        everything = math.inf if self.friedman_p >= 1 - LEVEL else self.critical_difference
        return joined_by(self.ranks, everything)

    def by_seed(self, method: str, places: Sequence[int] | None = None) -> list[tuple[float]]:
        """The mean over all cells, or over those at these places, for each seed: by it two methods are compared."""
        scores = self.by_method[method] if places is None else self.by_method[method][:, places]
        return [(float(mean),) for mean in scores.mean(axis=1)]


def joined_by(ranks: Mapping[str, float], difference: float) -> list[tuple[float, float]]:
    """The longest stretches of ranks no further apart than the critical difference, each (least, most); none with one method."""
    ordered: Sequence[float] = sorted(ranks.values())
    reach = [max(j for j, other in enumerate(ordered) if other - rank <= difference) for rank in ordered]
    stretches = [(i, end) for i, end in enumerate(reach) if end > i and (i == 0 or end > reach[i - 1])]
    return [(ordered[i], ordered[j]) for i, j in stretches]


def scores_of(cells: Sequence[MeasuredCell]) -> SuiteScores:
    """The normalised scores of all cells, whose methods are those of the first.

    Raises UserError, one line, if a cell's winner was not tested, or if two of its methods spent different budgets.
    """
    methods = cells[0].evidence.config.methods
    for cell in cells:
        _check(cell, methods)
    return SuiteScores(
        cells=tuple(cells),
        by_method={method: np.array([_of_cell(cell, method) for cell in cells], dtype=np.float64).T for method in methods},
    )


def _check(cell: MeasuredCell, methods: Sequence[str]) -> None:
    for method in methods:
        if untested := without_a_test(method, cell.evidence.histories[method]):
            raise UserError(untested)
    spent = {method: total_cost(cell.evidence.histories[method]).units for method in methods}
    for other in methods[1:]:
        if unequal := unequal_budgets((methods[0], other), spent[methods[0]], spent[other], cell.evidence.words):
            raise UserError(unequal)


def _of_cell(cell: MeasuredCell, method: str) -> list[float]:
    return [cell.scale.normalised(math.fsum(returns) / len(returns)) for returns in returns_of(cell.evidence.histories[method])]


def interquartile_mean(scores: Floats) -> Floats:
    """Interquartile mean over all seeds of all cells together, [..., seed, cell] -> [...]."""
    return iqm(scores.reshape(*scores.shape[:-2], -1))


def mean_score(scores: Floats) -> Floats:
    """Mean over all seeds of all cells, [..., seed, cell] -> [...]."""
    mean: Floats = np.mean(scores, axis=(-2, -1))
    return mean


def optimality_gap(scores: Floats) -> Floats:
    """How far scores are below 1 on average, where scores above 1 count as 1; [..., seed, cell] -> [...]."""
    gap: Floats = np.mean(np.maximum(0.0, 1.0 - scores), axis=(-2, -1))
    return gap


def aggregated(scores: Floats, aggregate: Aggregate) -> Estimate:
    """An aggregate of [seed, cell] with its interval over seeds, each of which is left out once in all cells (jackknife).

    Seeds are not independent of themselves in other cells, so they are left out as a whole. The interval is None for a single
    seed. A mean over seeds has Student's t interval by this rule.
    """
    value = float(aggregate(scores))
    if len(scores) < 2:
        return Estimate(value=value, interval=None, unit="seeds")
    left_out = aggregate(np.stack([np.delete(scores, seed, axis=0) for seed in range(len(scores))]))
    return Estimate(value=value, interval=intervals.of_jackknife(value, left_out), unit="seeds")


def aggregated_iqm(scores: Floats) -> Estimate:
    """The interquartile mean of [seed, cell]; of a single cell, with the interval that it has in the report of a run.

    Of the few values of one cell so few are left that a jackknife is too narrow.
    """
    if scores.shape[1] == 1 and len(scores) >= LEAST_SEEDS:
        return iqm_of(scores.tolist())
    return aggregated(scores, interquartile_mean)


def improvement(first: Floats, second: Floats) -> Estimate:
    """Probability that a seed of the first method beats one of the second in a random cell; ties count a half."""
    by_cell = [probability_of_improvement(ours, theirs) for ours, theirs in zip(first.T, second.T, strict=True)]
    few = min(len(first), len(second)) < 2
    interval = None if few else intervals.of_mean_improvement(by_cell, len(first), len(second))
    return Estimate(value=float(np.mean(by_cell)), interval=interval, unit="seeds")


def profile(scores: Floats, thresholds: Floats) -> tuple[Floats, Floats, Floats]:
    """The share of all runs (one per seed and cell) that score above each threshold, and the ends of its 95 % band; [T] each."""

    def shares(of: Floats) -> Floats:
        found: Floats = np.mean(of[..., None] > thresholds, axis=(-3, -2))
        return found

    low, high = np.percentile(shares(_resampled(scores, _generator())), _ENDS, axis=0)
    return shares(scores), low, high


_ENDS = (100 * TAIL, 100 * (1 - TAIL))


def _generator() -> np.random.Generator:
    return np.random.default_rng(0)


def _resampled(scores: Floats, rng: np.random.Generator) -> Floats:
    """[seed, cell] -> [repetition, seed, cell]: seeds drawn with replacement, independently in each cell."""
    drawn = rng.integers(len(scores), size=(REPETITIONS, *scores.shape))
    resampled: Floats = np.take_along_axis(scores[None], drawn, axis=1)
    return resampled
