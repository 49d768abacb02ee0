"""What a number of seeds can find: the power of the test that a verdict rests on, and the smallest difference that it finds.

A difference is claimed if its permutation p value is below the level and its t interval excludes 0. Both are simulated exactly as
they are, on normal returns, because with few seeds only a few p values are possible: the smallest for ten pairs is 2/1024.

No search over effects is needed. Add a true difference d to simulated returns of equal methods: the difference of their means
becomes D + d, and under other labels (signs flipped, or seeds dealt out differently) it becomes D' + b d, with b < 1. So other
labels do at least as well as long as d <= (D' - D) / (1 - b), and a difference is claimed once few enough of them do. The d from
which on that holds, over many simulated comparisons, gives the power. Claims in the wrong direction do not count.
"""

from __future__ import annotations

import itertools
import math
from functools import cache

import numpy as np

from rl_pbt.arrays import Floats
from rl_pbt.report.intervals import t_quantile, welch
from rl_pbt.report.statistics import RELABELLINGS

POWER = 0.8  # with which "the smallest difference that would be found" is found (Cohen 1988)
COMPARISONS = 2_000  # simulated ones; the standard error of a power is then at most 0.011
AT_ONCE = 250  # comparisons, so that 16,384 relabellings need 33 MB


def power(effect: float, seeds: tuple[int, ...], level: float) -> float:
    """How often a true difference of `effect` standard deviations, of the paired differences or of a method's seeds, is found.

    `seeds` is the number of pairs or, if they are not paired, the number of seeds of each method; `level` is that of the p value.
    """
    return float(np.mean(found_from(seeds, level) < effect))


def smallest_effect(seeds: tuple[int, ...], level: float) -> float | None:
    """The true difference that is found 4 times in 5, in standard deviations as in `power`; None if no p value is so small."""
    effect = float(np.sort(found_from(seeds, level))[math.ceil(POWER * COMPARISONS) - 1])
    return effect if math.isfinite(effect) else None


@cache
def found_from(seeds: tuple[int, ...], level: float) -> Floats:
    """The true difference from which on each simulated comparison claims one: [COMPARISONS]; infinite for never."""
    rng = np.random.default_rng(0)
    labels, others = _labels(seeds), _paired(seeds[0], rng) if len(seeds) == 1 else _dealt_out(seeds, rng)
    returns = rng.standard_normal((COMPARISONS, sum(seeds)))
    again = np.isclose(others, labels).all(axis=1)  # the original labels drawn again, which do as well whatever the difference
    # The p value is twice the share of all labels, including the original ones, that do as well.
    allowed = math.ceil(level * (len(others) + 1) / 2) - 1 - int(again.sum())
    if allowed < 1:
        return np.full(COMPARISONS, np.inf)
    parts = np.split(returns, range(AT_ONCE, COMPARISONS, AT_ONCE))
    permuted = np.concatenate([_fewer_do_as_well_from(part, labels, others[~again], allowed) for part in parts])
    found: Floats = np.maximum(permuted, _interval_excludes_0_from(returns, labels, seeds))
    return found


def _fewer_do_as_well_from(returns: Floats, labels: Floats, others: Floats, allowed: int) -> Floats:
    """The difference beyond which fewer than `allowed` of the other labels do as well: [comparisons]."""
    slack = 1 - others @ (labels > 0)
    does_as_well_to = (others - labels) @ returns.T / slack[:, None]  # [other labels, comparisons]
    place = len(others) - allowed
    does_as_well_to.partition(place, axis=0)
    beyond: Floats = does_as_well_to[place]
    return beyond


def _interval_excludes_0_from(returns: Floats, labels: Floats, seeds: tuple[int, ...]) -> Floats:
    """The difference beyond which the lower end of the t interval is above 0: [comparisons]."""
    spreads = [part.std(axis=1, ddof=1) for part in np.split(returns, [seeds[0]], axis=1)[: len(seeds)]]
    if len(seeds) == 1:
        half = t_quantile(seeds[0] - 1) * spreads[0] / math.sqrt(seeds[0])
    else:
        error, degrees = welch(spreads[0], seeds[0], spreads[1], seeds[1])
        half = t_quantile(degrees) * error
    found: Floats = half - returns @ labels
    return found


def _labels(seeds: tuple[int, ...]) -> Floats:
    """The weight of each return in the difference, which is the mean of the pairs, or one mean minus the other: [seeds]."""
    signs = (1, -1)[: len(seeds)]
    return np.concatenate([np.full(count, sign / count) for count, sign in zip(seeds, signs, strict=True)])


def _paired(seeds: int, rng: np.random.Generator) -> Floats:
    """Every way to flip at least one sign: [ways, seeds]; if there are too many, as many random ones as the test draws."""
    if 2**seeds <= RELABELLINGS:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=seeds))[1:])
    else:
        signs = rng.choice((1.0, -1.0), size=(RELABELLINGS, seeds))
    ways: Floats = signs / seeds
    return ways


def _dealt_out(seeds: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Every other way to deal the seeds out to the two methods: [ways, seeds of both]; if there are too many, random ones."""
    whole, labels = sum(seeds), _labels(seeds)
    if math.comb(whole, seeds[0]) > RELABELLINGS:
        return rng.permuted(np.tile(labels, (RELABELLINGS, 1)), axis=1)
    chosen = list(itertools.combinations(range(whole), seeds[0]))[1:]
    ways = np.full((len(chosen), whole), -1 / seeds[1])
    for way, places in zip(ways, chosen, strict=True):
        way[list(places)] = 1 / seeds[0]
    return ways
