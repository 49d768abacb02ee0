"""Random search, and what hand tuning found: members that hold their hyperparameters and copy nothing.

Random search is the baseline of Jaderberg 2017: as many members as the population, hyperparameters drawn once from the prior and
held, the best one taken (Bergstra & Bengio 2012). Hand tuning is the same with the published hyperparameters for every member,
which may lie outside the space: its members differ in nothing but their random streams, as several seeds of the default would.

A member that failed stays failed; the units it would have used go to the others, so that the budget is spent.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import final

from rl_pbt.errors import BadSetting
from rl_pbt.records import Hypers, Proposal
from rl_pbt.search.base import Generational, Start
from rl_pbt.search.problem import Problem


class Independent(Generational):
    """Every member that has not failed trains on from its own last checkpoint; no fitness changes its hyperparameters."""

    @abstractmethod
    def hypers_of(self, member: int) -> Hypers:
        """What the member trains with in the generation that is next."""

    def begin(self, member: int, units: int) -> Proposal:
        return self.propose(member, Start(hypers=self.hypers_of(member)), units=units)

    def continuing(self) -> list[int]:
        return self.healthy()

    def generate(self, members: Sequence[int], units: int) -> list[Proposal]:
        starts = {member: Start(parent=self.last[member].id, hypers=self.hypers_of(member)) for member in members}
        return [self.propose(member, start, units=units) for member, start in starts.items()]


@final
class RandomSearch(Independent):
    """Every member holds the draw that it begins with in all methods."""

    def hypers_of(self, member: int) -> Hypers:
        return self.initial_hypers(member)


@final
class HandTuned(Independent):
    """Every member has the published hyperparameters. Raises BadSetting where one that is searched has none."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        missing = [name for name in self.space.dimensions if name not in problem.published]
        if missing:
            raise BadSetting(
                "hypers", f"must have a value of each searched hyperparameter for hand-tuned: add {', '.join(missing)}"
            )
        self._published = {name: problem.published[name] for name in self.space.dimensions}

    def hypers_of(self, member: int) -> Hypers:
        return self._published
