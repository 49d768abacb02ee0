"""Random search and hand tuning with a hand-made learning-rate schedule: what such a schedule is worth without searching for one.

IMPALA's learning rate falls linearly to 0 over the training (Espeholt 2018, arXiv 1802.01561, Table G.1). PBT may lead merely
because its perturbations and its selection can lower the rate too, as any decay would; these baselines tell the two apart. Like
every hyperparameter here, the rate changes only between intervals, and has its value at the middle of each: of n intervals the
first has 1 - 1/(2n) of the rate and the last 1/(2n), which may lie below the searched range. An agent that anneals its own rate
would lower it twice. If a training has several rates (a GAN has two), all of them can fall.
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
        help="the searched hyperparameter that falls linearly to 0, or is warmed up, during training; separate several by commas",
        varies=True,
        of_hypers=True,
    )


def names_of(annealed: str) -> tuple[str, ...]:
    """The hyperparameters that the option names. It is text, as in the manifests of older runs, when it could name only one."""
    return tuple(name.strip() for name in annealed.split(","))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AnnealedOptions:
    """Which hyperparameter falls."""

    annealed: str = annealed_option()


class Scheduled(Independent):
    """Every member holds its draw or, if given, the `published` hyperparameters, except those that follow a schedule.

    Raises BadSetting if one of the latter is not searched, or not on a linear or log scale.
    """

    def __init__(self, problem: Problem, annealed: str, published: Hypers | None = None) -> None:
        super().__init__(problem)
        self._annealed = tuple(_checked(name, problem.space) for name in names_of(annealed))
        self._published = published

    @abstractmethod
    def share(self) -> float:
        """The factor that multiplies them in the next generation."""

    def hypers_of(self, member: int) -> Hypers:
        held = self.initial_hypers(member) if self._published is None else self._published
        return {**held, **{name: float(held[name]) * self.share() for name in self._annealed}}


@final
class Annealed(Scheduled):
    """The annealed hyperparameters fall linearly to 0."""

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
