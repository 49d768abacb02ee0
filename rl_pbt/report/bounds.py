"""Whether a population ended at the bounds of its search: then the range, not the method, chose the value."""

from __future__ import annotations

from collections.abc import Iterator

from rl_pbt.options import types_of
from rl_pbt.report.evidence import Evidence, Histories
from rl_pbt.search import METHODS
from rl_pbt.search.annealed import names_of
from rl_pbt.space import Dimension
from rl_pbt.store.descent import has_schedules
from rl_pbt.store.history import History
from rl_pbt.text import value_text

AT_A_BOUND = 0.01  # share of the range, on its own scale
MOST_OF_THEM = 0.5  # share of the members of a population, and of the seeds


def at_bounds(evidence: Evidence) -> Iterator[str]:
    """A sentence for each method and hyperparameter that most members of most seeds left at one of its bounds."""
    for method, by_seed in evidence.histories.items():
        if METHODS[method].replays or not all(history.ended and has_schedules(history) for history in by_seed.values()):
            continue  # it does not search
        # A hyperparameter with a schedule of its own is not held back by a bound.
        scheduled = "annealed" in types_of(METHODS[method].options)
        annealed = names_of(evidence.config.method_options.get("annealed", "")) if scheduled else ()
        for name, dimension in evidence.config.space.dimensions.items():
            if name in annealed:
                continue
            for side, bound in zip(("lower", "upper"), dimension.bounds, strict=False):
                if _most_at(by_seed, name, dimension, bound):
                    at = f"the {side} bound of {name}, {value_text(bound)}"
                    yield f"With {method}, most members ended at {at}: a wider range may do better."


def _most_at(by_seed: Histories, name: str, dimension: Dimension, bound: float) -> bool:
    seeds = [_share_at(history, name, dimension, bound) > MOST_OF_THEM for history in by_seed.values()]
    return sum(seeds) > MOST_OF_THEM * len(seeds)


def _share_at(history: History, name: str, dimension: Dimension, bound: float) -> float:
    """The share of the members whose last value was at the bound."""
    newest = {trial.proposal.member: trial.proposal.hypers[name] for trial in history.trials if name in trial.proposal.hypers}
    near = [abs(dimension.unit(value) - dimension.unit(bound)) <= AT_A_BOUND for value in newest.values()]
    return sum(near) / len(near) if near else 0.0
