"""GPBT-PL: Population Based Training whose losers learn from a winner (Bai & Cheng 2024, arXiv 2404.08233).

A quarter of the population is slow and a quarter fast, and each slow one meets a fast one at random. It copies the weights of the
fast one, and its hypers move from where *they* are towards the fast one's, with a velocity that is remembered: the update of a
competitive swarm.

    v <- r1 v + r2 (h_fast - h_slow)
    h_slow <- clip(h_slow + v)            r1, r2 uniform on [0, 1), drawn anew for each hyper

The rule is that of the authors' code; the quarter is its setting, and stands in for `--fraction`. Departures: hypers move on the
unit scale of their dimension (a learning rate in its logarithm), as in EvoRL's variant, where the code moves raw values; a whole
number or a choice goes to the nearest; two slow members may learn from the same fast one; and a member that has nobody to learn
from is as in `pbt`.
"""

from __future__ import annotations

from typing import final

from rl_pbt.records import Hypers, Proposal
from rl_pbt.search.exploit import Truncation
from rl_pbt.search.pbt import PBT, Evolution
from rl_pbt.search.setup import Setup

QUANTILE = 0.25


@final
class GPBTPL(PBT):
    """Remembers a velocity for each member and hyper, on the unit scale; 0 at first."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup, Evolution(exploit=Truncation(fraction=QUANTILE), explore=None))
        self.velocities: dict[int, dict[str, float]] = {}

    def successor(self, member: int, donor: Proposal | None, frames: int) -> Proposal:
        if donor is None:
            return super().successor(member, donor, frames)
        hypers = self._learn(member, donor.hypers)
        return self.propose(member, hypers, parent=donor.id, frames=frames, hypers_from=donor.id)

    def _learn(self, member: int, fast: Hypers) -> Hypers:
        rng = self.rng("learn", member=member, generation=self.next_generation(member))
        slow, before = self.last[member].hypers, self.velocities.get(member, {})
        learnt: Hypers = {}
        velocities = {}
        for name, dimension in self.space.dimensions.items():
            inertia, pull = rng.random(2)
            h_slow, h_fast = dimension.unit(slow[name]), dimension.unit(fast[name])
            velocities[name] = float(inertia * before.get(name, 0.0) + pull * (h_fast - h_slow))
            learnt[name] = dimension.from_unit(h_slow + velocities[name])
        self.velocities[member] = velocities
        return learnt
