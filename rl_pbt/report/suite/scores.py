"""Normalised scores of all cells of a suite, and statistics of them, as rliable and Demšar define them.

Scores of several environments are put on one scale, which the suite declares: 0 is a random policy's score. The scores of a
method are an array [seed, cell]. Aggregates and their stratified bootstrap, which resamples seeds in each cell, follow Agarwal et
al. 2021 (arXiv 2108.13264): interquartile mean, optimality gap, performance profile, probability of improvement. Ranks, and the
critical difference between them, follow Demšar 2006, "Statistical Comparisons of Classifiers over Multiple Data Sets": a cell is
a block, however many seeds it has. The contrast of two methods is paired by seed, on each seed's mean difference over all cells.
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
from rl_pbt.report.comparison import unequal_budgets, without_a_test
from rl_pbt.report.evidence import Evidence, returns_of, total_cost
from rl_pbt.report.intervals import LEVEL, TAIL
from rl_pbt.report.statistics import Estimate, iqm, probability_of_improvement
from rl_pbt.store.curves import anytime_curve

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

    def by_seed(self, method: str) -> list[tuple[float]]:
        """The mean over all cells for each seed, by which two methods are compared."""
        return [(float(mean),) for mean in self.by_method[method].mean(axis=1)]


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


def optimality_gap(scores: Floats) -> Floats:
    """How far scores are below 1 on average, where scores above 1 count as 1; [..., seed, cell] -> [...]."""
    gap: Floats = np.mean(np.maximum(0.0, 1.0 - scores), axis=(-2, -1))
    return gap


def aggregated(scores: Floats, aggregate: Aggregate) -> Estimate:
    """An aggregate of [seed, cell], with its interval over seeds, which is None for a single seed."""
    value = float(aggregate(scores))
    if len(scores) < 2:
        return Estimate(value=value, interval=None, unit="seeds")
    return Estimate(value=value, interval=_interval(aggregate(_resampled(scores, _generator()))), unit="seeds")


def improvement(first: Floats, second: Floats) -> Estimate:
    """Probability that a seed of the first method beats one of the second in a random cell; ties count a half."""
    rng = _generator()

    def over_cells(ours: Floats, theirs: Floats) -> float:
        return float(np.mean([probability_of_improvement(x, y) for x, y in zip(ours.T, theirs.T, strict=True)]))

    value = over_cells(first, second)
    if min(len(first), len(second)) < 2:
        return Estimate(value=value, interval=None, unit="seeds")
    pairs = zip(_resampled(first, rng), _resampled(second, rng), strict=True)
    return Estimate(value=value, interval=_interval(np.array([over_cells(x, y) for x, y in pairs])), unit="seeds")


def profile(scores: Floats, thresholds: Floats) -> tuple[Floats, Floats, Floats]:
    """The share of all runs (one per seed and cell) that score above each threshold, and the ends of its 95 % band; [T] each."""

    def shares(of: Floats) -> Floats:
        found: Floats = np.mean(of[..., None] > thresholds, axis=(-3, -2))
        return found

    low, high = np.percentile(shares(_resampled(scores, _generator())), _ENDS, axis=0)
    return shares(scores), low, high


def reached(cell: MeasuredCell, first: str, second: str) -> float | None:
    """The share of the second method's budget after which the first's best member so far tests as well as the second's winner.

    Both are means over seeds, on held-out seeds. The curve is linear between two tests; before the first one nothing is known.
    None if that never happens.
    """
    curves = [np.array(anytime_curve(h), dtype=np.float64) for h in cell.evidence.histories[first].values()]
    budget = np.mean([history.cost.units for history in cell.evidence.histories[second].values()])
    target = np.mean([np.mean(returns) for returns in returns_of(cell.evidence.histories[second])])
    places = np.linspace(max(curve[0, 0] for curve in curves), max(curve[-1, 0] for curve in curves), 1001)
    mean = np.mean([np.interp(places, *curve.T) for curve in curves], axis=0)
    above = np.flatnonzero(mean >= target)
    return float(places[above[0]] / budget) if len(above) else None


_ENDS = (100 * TAIL, 100 * (1 - TAIL))


def _generator() -> np.random.Generator:
    return np.random.default_rng(0)


def _resampled(scores: Floats, rng: np.random.Generator) -> Floats:
    """[seed, cell] -> [repetition, seed, cell]: seeds drawn with replacement, independently in each cell."""
    drawn = rng.integers(len(scores), size=(REPETITIONS, *scores.shape))
    resampled: Floats = np.take_along_axis(scores[None], drawn, axis=1)
    return resampled


def _interval(draws: Floats) -> tuple[float, float]:
    low, high = np.percentile(draws, _ENDS)
    return float(low), float(high)
