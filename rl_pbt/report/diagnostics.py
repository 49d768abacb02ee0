"""What a ledger says about its search: whether fitness told members apart, whether exploration moved anything, and who is left.

*Reliability* of fitness is the share of its variance that is between members; the rest is evaluation noise. It is computed as for
one-way random effects, for the means of members that were evaluated together:

    max(0, 1 - E / S)    S: variance of the members' mean returns
                         E: mean over the members of (variance of a member's returns / their number)

If all members have the same number of returns, the population's mean of each episode is subtracted before E is computed (with one
degree of freedom less): members of a generation are evaluated on the same seeds, and an easy seed is easy for all, so it is no
noise in their order. If fitness comes from training, what a member learns between its episodes counts as noise. Values below 0
count as 0, so identical members get a little more than 0: for 8 members evaluated 8 times, 0.14 on average, and 0.07 for the
median over five generations. S is the variance of few members, so a single generation says little.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import final

import numpy as np

from rl_pbt.arrays import Floats
from rl_pbt.config import RunConfig
from rl_pbt.options import Settings, built, types_of
from rl_pbt.records import Trial
from rl_pbt.search import METHODS, Plan
from rl_pbt.search.explore import reach
from rl_pbt.space import Dimension, Space
from rl_pbt.store.descent import winning_line
from rl_pbt.store.history import History

LEAST_MEMBERS = 4  # the variance of fewer says next to nothing


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """Movement of a hyperparameter along the winner's line of descent, in shares of its range, on its own scale.

    `net` is from the founder's value to the winner's, `span` between the two values on the line that are farthest apart.
    """

    net: float
    span: float


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostics:
    """Diagnostics of one search: by generation, the `reliability` of fitness and how many `founders` have living descendants.

    A reliability is None where it cannot be told: fewer than four members with two returns or more, or all of them alike.
    """

    reliability: tuple[float | None, ...]
    founders: tuple[int, ...]
    movement: Mapping[str, Movement]

    @property
    def founders_at_half(self) -> int | None:
        """Founders after the first half of the generations; None if there was only one generation."""
        half = half_of(len(self.founders))
        return self.founders[half - 1] if half else None

    @property
    def founders_at_end(self) -> int | None:
        """Founders after the last generation; None if there was none."""
        return self.founders[-1] if self.founders else None


def diagnostics_of(history: History, space: Space) -> Diagnostics:
    """The diagnostics of a search, from its ledger."""
    generations = by_generation(history)
    return Diagnostics(
        reliability=tuple(reliability_of([t.result.returns for t in trials if _evaluated(t)]) for trials in generations),
        founders=tuple(len({history.lineage.founder(t.proposal.id) for t in trials if _alive(t)}) for trials in generations),
        movement={name: movement for name, one in space.dimensions.items() if (movement := _movement(history, name, one))},
    )


def by_generation(history: History) -> list[list[Trial]]:
    """The trials of each generation, whether its members waited for one another or not."""
    found: dict[int, list[Trial]] = {}
    for trial in history.trials:
        found.setdefault(trial.proposal.generation, []).append(trial)
    return [found[generation] for generation in sorted(found)]


def _alive(trial: Trial) -> bool:
    return trial.result.failure is None


def _evaluated(trial: Trial) -> bool:
    return trial.result.fitness is not None and len(trial.result.returns) > 1


def reliability_of(returns: Sequence[Sequence[float]]) -> float | None:
    """The share of the variance of fitness that is between members, from at least two returns of each.

    None for fewer than four members, and where all have the same fitness without any noise.
    """
    if len(returns) < LEAST_MEMBERS:
        return None
    largest = max(abs(value) for of_one in returns for value in of_one) or 1.0  # its square might overflow
    scores = [np.array(of_one) / largest for of_one in returns]
    between = float(np.var([of_one.mean() for of_one in scores], ddof=1))
    noise = _noise(scores)
    if between == 0:
        return None if noise == 0 else 0.0
    return max(0.0, 1.0 - noise / between)


def _noise(scores: Sequence[Floats]) -> float:
    """The variance that evaluation noise adds to a member's fitness, averaged over the members."""
    if len({len(of_one) for of_one in scores}) > 1:
        return float(np.mean([of_one.var(ddof=1) / len(of_one) for of_one in scores]))
    alike = np.stack(scores)  # [members, episodes]
    members, episodes = alike.shape
    own = alike - alike.mean(axis=0)
    return float(own.var(axis=1, ddof=1).mean() / episodes * members / (members - 1))


def _movement(history: History, name: str, dimension: Dimension) -> Movement | None:
    line = [dimension.unit(trial.proposal.hypers[name]) for trial in winning_line(history)]
    return Movement(net=abs(line[-1] - line[0]), span=max(line) - min(line)) if line else None


def half_of(generations: int) -> int:
    """How many generations are the first half."""
    return generations // 2


def typical_reliability(found: Iterable[Diagnostics], *, second_half: bool) -> float | None:
    """The median over that half's generations of all seeds together; None where no generation has a reliability."""
    values: list[float] = []
    for one in found:
        half = half_of(len(one.reliability))
        part = one.reliability[half:] if second_half else one.reliability[:half]
        values += [value for value in part if value is not None]
    return median(values) if values else None


def reach_of(method: str, config: RunConfig) -> Mapping[str, float] | None:
    """The largest share of its range that each hyperparameter can move, if every perturbation goes in the same direction.

    None for a method that moves them in other ways, or not at all.
    """
    options = _options_of(method, config)
    if METHODS[method].jumps or "factors" not in options or options.get("resample_probability"):
        return None
    generations = Plan.nominal(config).generations
    first = max(1, math.ceil(options["burn_in"] / config.interval))
    times = max(0, generations - first)
    return {name: reach(dimension, options["factors"], times) for name, dimension in config.space.dimensions.items()}


def _options_of(method: str, config: RunConfig) -> Settings:
    """The method's options by name, with defaults filled in."""
    kind = METHODS[method].options
    own = built(kind, {name: value for name, value in config.method_options.items() if name in types_of(kind)})
    return {name: getattr(own, name) for name in types_of(kind)}
