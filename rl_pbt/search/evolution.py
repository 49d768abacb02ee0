"""PBT's decision (Jaderberg et al. 2017, arXiv 1711.09846, Algorithm 1), as a component shared by the methods that use it.

At every ready point a member may exploit, that is copy the weights and the hyperparameters of a better one, and then explore,
that is change the hyperparameters it copied; every other member trains on, unchanged. The paper's variants and its ablations
(sec. 5) are built from the same parts. `PBT` lets all members decide together, `AsynchronousPBT` each when it is ready.

Deviations from the paper: those of `exploit` and `explore`; and a failed member that has nobody to copy starts with fresh weights
and a new draw of hyperparameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from rl_pbt.errors import BadSetting
from rl_pbt.options import option
from rl_pbt.records import Hypers, Proposal
from rl_pbt.search.base import Bookkeeping, Generational, Start
from rl_pbt.search.exploit import Exploit, Results
from rl_pbt.search.explore import Explore


def burn_in_option() -> int:
    """The field `burn_in` of a method's options. Espeholt 2018, App. F, uses 20 million frames."""
    return option(0, help="units of its budget that a member spends before it may copy")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Evolution:
    """What happens at a ready point. A copy takes `weights`, `hypers` or both.

    Copied hyperparameters are explored; with `everyone`, those of every member are. Until a member has spent `burn_in` units of
    its budget, evaluation included as in the length of an interval, it neither copies nor explores, unless it failed, since then
    it cannot train on. Raises BadSetting for a negative one.
    """

    exploit: Exploit | None = None
    explore: Explore | None = None
    weights: bool = True
    hypers: bool = True
    everyone: bool = False
    burn_in: int = 0

    def __post_init__(self) -> None:
        if self.burn_in < 0:
            raise BadSetting("burn_in", f"must be 0 or more units, but is {self.burn_in}")

    def donors(self, population: Generational, members: Sequence[int], results: Results | None = None) -> dict[int, Proposal]:
        """Loser -> the proposal that it copies; all decide together, on the population's newest results or on these `results`."""
        seen = population.results if results is None else results
        chosen = self.choose(population, seen, members, population.rng("exploit", generation=population.generation))
        return {loser: population.last[donor] for loser, donor in chosen.items()}

    def choose(
        self, population: Bookkeeping, results: Results, deciding: Sequence[int], rng: np.random.Generator
    ) -> dict[int, int]:
        """Loser -> donor, among the members that are `deciding`, given these results."""
        if self.exploit is None:
            return {}
        chosen = self.exploit(results, deciding, rng)
        return {loser: donor for loser, donor in chosen.items() if self._may_copy(population, loser)}

    def _may_copy(self, population: Bookkeeping, member: int) -> bool:
        return self.evolves(population, member) or population.results[member].failure is not None

    def evolves(self, population: Bookkeeping, member: int) -> bool:
        """Whether the member's burn-in is over."""
        return population.intervals_trained(member) * population.plan.interval >= self.burn_in

    def start(self, population: Bookkeeping, member: int, donor: Proposal | None) -> Start:
        """What the member's next proposal starts from, if it copies `donor` or, with None, nobody."""
        own, failed = population.last[member], population.results[member].failure is not None
        parent = None if failed else own.id
        hypers, hypers_from = own.hypers, None
        if donor is None and failed:
            generation = population.next_generation(member)
            hypers = population.space.sample(population.rng("restart", member=member, generation=generation))
        if donor is not None and self.weights:
            parent = donor.id
        if donor is not None and self.hypers:
            hypers, hypers_from = donor.hypers, donor.id
        if hypers_from is not None or (self.everyone and self.evolves(population, member)):
            hypers = self.explored(population, member, hypers)
        return Start(parent=parent, hypers=hypers, hypers_from=hypers_from)

    def explored(self, population: Bookkeeping, member: int, hypers: Hypers) -> Hypers:
        """These hyperparameters, changed by the explore rule, for the member's next proposal."""
        if self.explore is None:
            return hypers
        rng = population.rng("explore", member=member, generation=population.next_generation(member))
        return self.explore(population.space, hypers, rng)
