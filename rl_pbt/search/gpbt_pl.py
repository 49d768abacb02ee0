"""GPBT-PL: Population Based Training in which losers learn from a winner (Bai & Cheng 2024, arXiv 2404.08233).

A quarter of the population is slow and a quarter fast; each slow member meets a random fast one and copies its weights. Each
of its hyperparameters is resampled with probability 1/4, and then takes over the fast member's velocity; otherwise it moves
from its *own* value towards the fast member's, with a velocity that is remembered: the update of a competitive swarm optimiser.

    v <- r1 v + r2 (h_fast - h_slow)
    h_slow <- clip(h_slow + v)            r1, r2 uniform on [0, 1), drawn for each hyperparameter

The rule follows the authors' code (EMI-Group/gpbt-pl), and both quarters are its defaults. The losing share replaces a truncation
fraction; the resampling probability is not an option because an option has one default for all methods (the code's script for
IMPALA sets it to 0).

Deviations: hyperparameters move on the unit scale of their dimension (a learning rate in its logarithm), as in EvoRL's variant,
while the code moves raw values; a whole number or a choice moves to the nearest value, while the code truncates whole numbers and
takes a neighbour of the fast member's choice; and a member that has nobody to learn from behaves as in `pbt`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from rl_pbt.records import Hypers, Proposal
from rl_pbt.search.base import Generational, Start
from rl_pbt.search.evolution_options import QuarterOptions
from rl_pbt.search.problem import Problem

RESAMPLE_PROBABILITY = 0.25


@final
class GPBTPL(Generational):
    """Keeps a velocity for each member and hyperparameter, on the unit scale; 0 at first."""

    def __init__(self, problem: Problem, options: QuarterOptions) -> None:
        super().__init__(problem)
        self.evolution = options.evolution()
        self.velocities: dict[int, dict[str, float]] = {}

    def generate(self, members: Sequence[int], units: int) -> list[Proposal]:
        donors = self.evolution.donors(self, members)
        return [self.propose(member, self._start(member, donors.get(member)), units=units) for member in members]

    def _start(self, member: int, fast: Proposal | None) -> Start:
        if fast is None:
            return self.evolution.start(self, member, None)
        return Start(parent=fast.id, hypers=self._learn(member, fast), hypers_from=fast.id)

    def _learn(self, member: int, fast: Proposal) -> Hypers:
        rng = self.rng("learn", member=member, generation=self.next_generation(member))
        slow = self.last[member].hypers
        own, others = (self.velocities.get(one, {}) for one in (member, fast.member))
        learned: Hypers = {}
        velocities = {}
        for name, dimension in self.space.dimensions.items():
            inertia, pull = rng.random(2)
            h_slow, h_fast = dimension.unit(slow[name]), dimension.unit(fast.hypers[name])
            velocities[name] = float(inertia * own.get(name, 0.0) + pull * (h_fast - h_slow))
            learned[name] = dimension.from_unit(h_slow + velocities[name])
            if rng.random() < RESAMPLE_PROBABILITY:
                learned[name], velocities[name] = dimension.sample(rng), others.get(name, 0.0)
        self.velocities[member] = velocities
        return learned
