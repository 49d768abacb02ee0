"""Random search: as many members as the population, hypers drawn once from the prior and held (Bergstra & Bengio 2012).

This is the baseline of Jaderberg 2017: the same number of workers, the best one taken. A member that failed stays failed; the
frames it would have used go to the others, so that the budget is spent.
"""

from __future__ import annotations

from typing import final

from rl_pbt.records import Proposal
from rl_pbt.search.base import Generational


@final
class RandomSearch(Generational):
    """Every member trains on from its own last checkpoint."""

    def next_generation(self) -> list[Proposal]:
        if self.generation == 0:
            return self.first_generation()
        members = self.alive()
        if not members:
            return []
        frames = self.account.allowance(self.generation, len(members))
        return [self.propose(member, self.last[member].hypers, parent=self.last[member].id, frames=frames) for member in members]
