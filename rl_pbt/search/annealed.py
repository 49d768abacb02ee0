"""Random search and hand tuning with a learning rate whose schedule was made by hand: what that is worth without any search.

IMPALA's learning rate falls linearly to 0 over the training (Espeholt 2018, arXiv 1802.01561, Table G.1). A lead of PBT may be
that of any decay, since its perturbations and its selection can lower the rate too; these baselines tell the two apart. The rate
changes between intervals alone, as every hyperparameter here, and is that of the middle of each: of n intervals the first has
1 - 1/(2n) of the rate and the last 1/(2n), which may lie below the range that is searched. An agent that anneals its rate by
itself would lower it twice. Where a training has several rates, as a GAN has two, all of them can fall.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import final

from rl_pbt.errors import BadSetting
from rl_pbt.options import option
from rl_pbt.records import Hypers
from rl_pbt.search.problem import Problem
from rl_pbt.search.random_search import Independent
from rl_pbt.space import Linear, Log, Space


def annealed_option() -> str:
    """The field `annealed` of a method's options."""
    return option(
        "learning_rate",
        help="the searched hyperparameter that falls linearly to 0, or is warmed up, over the training; several by commas",
    )


def names_of(annealed: str) -> tuple[str, ...]:
    """The hyperparameters that the option names: it is text, as in the manifests of runs from when it could name but one."""
    return tuple(name.strip() for name in annealed.split(","))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AnnealedOptions:
    """What falls."""

    annealed: str = annealed_option()


class Scheduled(Independent):
    """Every member holds its draw or, where they are given, the `published` hyperparameters, but for those with a schedule.

    Raises BadSetting where one of these is none that is searched, or no real number.
    """

    def __init__(self, problem: Problem, annealed: str, published: Hypers | None = None) -> None:
        super().__init__(problem)
        self._annealed = tuple(_checked(name, problem.space) for name in names_of(annealed))
        self._published = published

    @abstractmethod
    def share(self) -> float:
        """What they are multiplied by in the generation that is next."""

    def hypers_of(self, member: int) -> Hypers:
        held = self.initial_hypers(member) if self._published is None else self._published
        return {**held, **{name: float(held[name]) * self.share() for name in self._annealed}}


@final
class Annealed(Scheduled):
    """They fall linearly to 0."""

    def __init__(self, problem: Problem, options: AnnealedOptions, published: Hypers | None = None) -> None:
        super().__init__(problem, options.annealed, published)

    def share(self) -> float:
        return 1.0 - self.middle


def _checked(annealed: str, space: Space) -> str:
    if not isinstance(space.dimensions.get(annealed), Linear | Log):
        searched = [name for name, dimension in space.dimensions.items() if isinstance(dimension, Linear | Log)]
        known = f"one of {', '.join(searched)}" if searched else "but none of those is on a linear or a log scale"
        raise BadSetting(
            "annealed", f"must be a searched hyperparameter on a linear or a log scale, {known}, but is {annealed!r}"
        )
    return annealed
