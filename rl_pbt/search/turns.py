"""Exploit in turn: one member after the other compares itself with the best of the others, copies already made included.

It is what the toy problem of Jaderberg 2017 (Fig. 2) needs. Its two workers are mirror images, so with simultaneous
decisions and a strict comparison they tie for ever and PBT equals grid search; here a member copies from one that is
*at least* as good (every other method of ours wants strictly better).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from rl_pbt import seeds
from rl_pbt.records import Hyper, Hypers, Proposal
from rl_pbt.search.base import Generational
from rl_pbt.search.budget import Plan
from rl_pbt.space import Linear, Space


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One curve of Fig. 2. Exploit copies weights only: with the hypers copied too, both workers would be the same worker.

    Explore adds normal noise: multiplication never leaves the 0 that the hypers start from.
    """

    exploit: bool
    explore: bool
    noise: float = 0.1


@final
class Turns(Generational):
    """`initial` holds the hypers of each member."""

    def __init__(self, *, space: Space, plan: Plan, root_seed: int, arm: Arm, initial: tuple[Hypers, ...]) -> None:
        super().__init__(space=space, plan=plan, root_seed=root_seed)
        self._arm = arm
        self._hypers = list(initial)

    def next_generation(self) -> list[Proposal]:
        standing = self.fitness  # what each member's weights are worth by now, copies included
        parents: dict[int, int | None] = {m: self.last[m].id if self.last else None for m in range(self.plan.population)}
        if self.generation > 0:
            for member in parents:
                self._decide(member, standing, parents)
        return [
            self.propose(member, self._hypers[member], parent=parent, frames=self.plan.interval)
            for member, parent in parents.items()
        ]

    def _decide(self, member: int, standing: dict[int, float], parents: dict[int, int | None]) -> None:
        """Exploit, then explore; explore runs only where something was copied, unless the arm has no exploit at all."""
        best = max((other for other in standing if other != member), key=standing.__getitem__)
        copies = self._arm.exploit and standing[best] >= standing[member]
        if copies:
            parents[member], standing[member] = parents[best], standing[best]
        if self._arm.explore and (copies or not self._arm.exploit):
            rng = seeds.rng(self.root_seed, purpose="explore", member=member, generation=self.generation)
            self._hypers[member] = self._explore(self._hypers[member], rng)

    def _explore(self, hypers: Hypers, rng: np.random.Generator) -> Hypers:
        return {name: self._moved(name, value, rng) for name, value in hypers.items()}

    def _moved(self, name: str, value: Hyper, rng: np.random.Generator) -> float:
        """Clipped: a negative hyper would climb the wrong way, off to infinity."""
        dimension = self.space.dimensions[name]
        assert isinstance(dimension, Linear)
        return min(max(float(value) + float(rng.normal(0.0, self._arm.noise)), dimension.low), dimension.high)
