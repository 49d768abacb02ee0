"""Random search and hand tuning: members that hold their hyperparameters and copy nothing.

Random search is the baseline of Jaderberg 2017: as many members as in the other methods' populations, with hyperparameters drawn
once from the prior and held, and the best member taken (Bergstra & Bengio 2012). Hand tuning is the same with the published
hyperparameters for every member, which may lie outside the space: its members differ only in their random streams, like several
seeds of the default.

Nothing depends on a member's fitness before the end, so it is evaluated only after its last training and in the final
re-evaluation; what evaluations in between would cost is spent on training. If evaluation is free, it happens after every
interval. A member that failed stays failed; the units it would have used go to the others, so that the budget is spent.
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
    """Every member that has not failed trains on from its own last checkpoint; fitness never changes its hyperparameters."""

    @abstractmethod
    def hypers_of(self, member: int) -> Hypers:
        """The member's hyperparameters in the next generation."""

    def work(self) -> list[Proposal]:
        if self.underway or self.generations_left == 0:
            return []
        members = self.healthy() if self.last else list(self.members)
        if not members:
            return []
        if self.plan.free_evaluation:
            units, evaluated = self.allowance(len(members)), True
        else:
            units, evaluated = self.account.allowance_until_evaluated(len(members), self.generations_left)
        if units:
            return self.generate(members, units, episodes=None if evaluated else 0)
        # Evaluation turned out to take all that is left: evaluate without training once more.
        return [self.propose(member, self.as_it_is(member), units=0) for member in members if self.results[member].unevaluated]

    def generate(self, members: Sequence[int], units: int, *, episodes: int | None = None) -> list[Proposal]:
        starts = {
            member: Start(parent=self.last[member].id if self.last else None, hypers=self.hypers_of(member)) for member in members
        }
        return [self.propose(member, start, units=units, episodes=episodes) for member, start in starts.items()]

    @property
    def middle(self) -> float:
        """The middle of the next generation, as a share of all training: above 0 and below 1."""
        return (self.plan.generations - self.generations_left + 0.5) / self.plan.generations


@final
class RandomSearch(Independent):
    """Every member holds its initial draw, the same as in the other methods."""

    def hypers_of(self, member: int) -> Hypers:
        return self.initial_hypers(member)


@final
class HandTuned(Independent):
    """Every member has the published hyperparameters. Raises BadSetting if a searched one has no published value."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self._published = published_of(problem, "hand-tuned")

    def hypers_of(self, member: int) -> Hypers:
        return self._published


def published_of(problem: Problem, name: str) -> Hypers:
    """The published value of each searched hyperparameter. Raises BadSetting, naming the method `name`, if one is missing."""
    missing = [one for one in problem.space.dimensions if one not in problem.published]
    if missing:
        raise BadSetting("hypers", f"must have a value of each searched hyperparameter for {name}: add {', '.join(missing)}")
    return {one: problem.published[one] for one in problem.space.dimensions}
