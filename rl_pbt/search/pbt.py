"""Population Based Training, synchronous, with truncation selection.

Jaderberg et al. 2017, arXiv 1711.09846, Algorithm 1 and sec. 4.1.1: at every ready point a member of the bottom 20 % copies the
weights and hypers of one of the top 20 % and perturbs the hypers; everyone else trains on, untouched.

Departures: those of `operators`; and a population in which every member failed starts anew from fresh weights and hypers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from rl_pbt import seeds
from rl_pbt.records import Hypers, Proposal, UserError
from rl_pbt.search.base import Generational
from rl_pbt.search.budget import Plan
from rl_pbt.search.operators import UNBIASED_FACTORS, perturb, resample, truncation
from rl_pbt.space import Space


@dataclass(frozen=True, slots=True, kw_only=True)
class PBTConfig:
    """`burn_in` is in frames per member: nobody copies before (Espeholt 2018, App. F, uses 20 million)."""

    fraction: float = 0.2
    factors: tuple[float, ...] = UNBIASED_FACTORS
    resample_probability: float = 0.0
    burn_in: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 0.5:
            raise UserError(f"--fraction must be above 0 and at most 0.5, but is {self.fraction}")
        if not 0 <= self.resample_probability <= 1:
            raise UserError(f"--resample-probability must be between 0 and 1, but is {self.resample_probability}")
        if not self.factors or min(self.factors) <= 0:
            raise UserError("--factors must be above 0")
        if self.burn_in < 0:
            raise UserError(f"--burn-in must be 0 or more frames, but is {self.burn_in}")


@final
class PBT(Generational):
    """Exploit by truncation selection, explore by perturbation."""

    def __init__(self, *, space: Space, plan: Plan, root_seed: int, config: PBTConfig | None = None) -> None:
        super().__init__(space=space, plan=plan, root_seed=root_seed)
        self.config = config or PBTConfig()

    def next_generation(self) -> list[Proposal]:
        if self.generation == 0:
            return self.first_generation()
        frames = self.account.allowance(self.generation, self.plan.population)
        donors = self._exploit()
        return [self._proposal(member, donors.get(member), frames) for member in range(self.plan.population)]

    def _exploit(self) -> dict[int, int]:
        rng = seeds.rng(self.root_seed, purpose="exploit", generation=self.generation)
        donors = truncation(self.fitness, self.config.fraction, rng)
        if self.generation * self.plan.interval >= self.config.burn_in:
            return donors
        # During the burn-in only a failure, which cannot train on, is replaced.
        return {loser: donor for loser, donor in donors.items() if self.results[loser].failure is not None}

    def _proposal(self, member: int, donor: int | None, frames: int) -> Proposal:
        own = self.last[member]
        if donor is not None:
            source = self.last[donor]
            return self.propose(
                member, self._explore(member, source.hypers), parent=source.id, frames=frames, hypers_from=source.id
            )
        if self.results[member].failure is not None:
            return self.propose(member, self.space.sample(self._rng("restart", member)), parent=None, frames=frames)
        return self.propose(member, own.hypers, parent=own.id, frames=frames)

    def _explore(self, member: int, hypers: Hypers) -> Hypers:
        rng = self._rng("explore", member)
        moved = perturb(self.space, hypers, rng, self.config.factors)
        return resample(self.space, moved, rng, self.config.resample_probability)

    def _rng(self, purpose: str, member: int) -> np.random.Generator:
        return seeds.rng(self.root_seed, purpose=purpose, member=member, generation=self.generation)
