"""Curves of one method and seed: scores against the units that the population, or a line of descent, had spent."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import final

from rl_pbt.store.descent import line_of_descent
from rl_pbt.store.history import History


def units_spent(history: History) -> list[int]:
    """Units that the whole population had spent, evaluation included, by the end of each round."""
    return list(accumulate(sum(trial.result.cost.units for trial in trials) for trials in history.rounds))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The scores (`Result.score`) of the current members when `units` have been spent: the best, and the quartiles."""

    units: int
    best: float
    upper: float
    median: float
    lower: float


def standings(history: History) -> list[Standing]:
    """The state of the population after each round; no entry while all members are failed."""
    standing: dict[int, float] = {}  # member -> its newest score
    fitness: list[float] = []  # the same scores, sorted
    told = []
    for units, trials in zip(units_spent(history), history.rounds, strict=True):
        for trial in trials:
            if (before := standing.pop(trial.proposal.member, None)) is not None:
                del fitness[bisect_left(fitness, before)]
            if (score := trial.result.score) is not None:
                standing[trial.proposal.member] = score
                insort(fitness, score)
        if fitness:
            lower, median, upper = (_quantile(fitness, share) for share in (0.25, 0.5, 0.75))
            told.append(Standing(units=units, best=fitness[-1], upper=upper, median=median, lower=lower))
    return told


def _quantile(ordered: Sequence[float], share: float) -> float:
    """The quantile, linearly interpolated as in NumPy but without sorting again: this is called for each round."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def best_fitness_curve(history: History) -> list[tuple[int, float]]:
    """(units spent, best score of the current members) after each round; no point while all members are failed."""
    return [(stand.units, stand.best) for stand in standings(history)]


def anytime_curve(history: History) -> list[tuple[int, float]]:
    """(units spent, mean test score of the member that led then); the last point is the winner's, after all units."""
    points = [(one.units, one.test.returns) for one in history.incumbents]
    points += [] if history.test is None else [(history.cost.units, history.test.returns)]
    return [(units, math.fsum(returns) / len(returns)) for units, returns in points if returns]


def has_anytime_curve(histories: Iterable[History]) -> bool:
    """Whether there is one to draw: some leader was tested before the end, and some test gave a score."""
    seen = list(histories)
    return any(history.incumbents for history in seen) and any(anytime_curve(history) for history in seen)


def ancestor_curve(history: History, proposal: int) -> list[tuple[int, float]]:
    """(lineage units, score) along the line of descent: one agent's life, stitched together through its donors."""
    results = [history.by_id[ancestor].result for ancestor in line_of_descent(history, proposal)]
    return [(result.lineage_units, score) for result in results if (score := result.score) is not None]
