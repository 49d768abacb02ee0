"""Random search, and what hand tuning found.

Random search is the baseline of Jaderberg 2017: as many members as the population, hypers drawn once from the prior and held,
the best one taken (Bergstra & Bengio 2012). Hand tuning is the same with the published hypers for every member, which may lie
outside the space: its members differ in nothing but their random streams, as several seeds of the default would.

A member that failed stays failed; the frames it would have used go to the others, so that the budget is spent.
"""

from __future__ import annotations

from typing import final

from rl_pbt.records import Hypers, Proposal
from rl_pbt.search.base import Generational


class RandomSearch(Generational):
    """Every member trains on from its own last checkpoint."""

    def generate(self) -> list[Proposal]:
        members = self.alive()
        frames = self.allowance(len(members)) if members else 0
        return [self.go_on(member, frames) for member in members] if frames else []


@final
class HandTuned(RandomSearch):
    """Every member has the published hypers."""

    def initial_hypers(self, member: int) -> Hypers:
        return {name: self.setup.published[name] for name in self.space.dimensions}
