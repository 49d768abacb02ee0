"""PBT's decision (Jaderberg et al. 2017, arXiv 1711.09846, Algorithm 1), as a component that its drivers hold.

At every ready point a member may exploit, that is copy the weights and the hyperparameters of a better one, and then explore,
that is move the hyperparameters it copied; everyone else trains on, untouched. The paper's variants and its ablations (sec. 5)
are made of the same parts. `PBT` lets all members decide together, `AsynchronousPBT` each when it is ready.

Deviations from the paper: those of `exploit` and `explore`; and a member that failed and finds nobody to copy weights from starts
afresh.
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
    return option(0, help="warm-up units of training before a member may copy")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Evolution:
    """What happens at a ready point. A copy takes `weights`, `hypers` or both. Its hyperparameters are explored or, with
    `everyone`, those of all.

    Before the `burn_in`, in units of each member's training, nobody copies but a failure, which cannot train on.
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
        """Loser -> the proposal that it copies, decided together from how the population stands, or from these `results`."""
        seen = population.results if results is None else results
        chosen = self.choose(population, seen, members, population.rng("exploit", generation=population.generation))
        return {loser: population.last[donor] for loser, donor in chosen.items()}

    def choose(
        self, population: Bookkeeping, results: Results, deciding: Sequence[int], rng: np.random.Generator
    ) -> dict[int, int]:
        """Loser -> donor, where those who decide see these results."""
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
        """What the member's next proposal starts from, where it copies from `donor` or from nobody."""
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
        """These hyperparameters, changed by the rule for the member's next proposal."""
        if self.explore is None:
            return hypers
        rng = population.rng("explore", member=member, generation=population.next_generation(member))
        return self.explore(population.space, hypers, rng)
