"""Exploit in turn: one member after the other compares itself with the best of the others, copies already made included.

The toy problem of Jaderberg 2017 (Fig. 2) needs this. Its two workers are mirror images, so with simultaneous decisions and a
strict comparison they always tie, and PBT equals grid search. Here a member copies from one that is *at least* as good (every
method of the suite wants strictly better).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from rl_pbt.records import Hyper, Hypers, Proposal
from rl_pbt.search.base import Generational, Start
from rl_pbt.search.explore import Explore
from rl_pbt.search.problem import Problem
from rl_pbt.space import Linear, Space


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One curve of Fig. 2. An exploit copies the weights; with the `hypers` copied too, both workers become the same worker.

    Members are ready every `ready` generations.
    """

    exploit: bool
    explore: Explore | None
    hypers: bool = False
    ready: int = 10


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AddNoise:
    """Adds a normal draw to each hyperparameter of a linear space: multiplication never leaves the 0 that some start from."""

    deviation: float = 0.1

    def __call__(self, space: Space, hypers: Hypers, rng: np.random.Generator) -> Hypers:
        return {name: self._moved(space, name, value, rng) for name, value in hypers.items()}

    def _moved(self, space: Space, name: str, value: Hyper, rng: np.random.Generator) -> float:
        """Clipped: a negative hyperparameter would climb the wrong way, off to infinity."""
        dimension = space.dimensions[name]
        assert isinstance(dimension, Linear)
        return min(max(float(value) + float(rng.normal(0.0, self.deviation)), dimension.low), dimension.high)


@final
class Turns(Generational):
    """`initial` holds the first hyperparameters of each member.

    Generations are single gradient steps: a member that is early in its turn sees the others as they stood one step before.
    """

    def __init__(self, problem: Problem, *, arm: Arm, initial: tuple[Hypers, ...]) -> None:
        super().__init__(problem)
        self._arm = arm
        self._initial = initial
        self._hypers = list(initial)
        # By member, after its last turn: fitness, and the checkpoint that has it.
        self._standing: dict[int, tuple[float, int]] = {}

    def initial_hypers(self, member: int) -> Hypers:
        return self._initial[member]

    def generate(self, members: Sequence[int], units: int) -> list[Proposal]:
        for member in members:
            self._take_turn(member)
        starts = {member: Start(parent=self._standing[member][1], hypers=self._hypers[member]) for member in members}
        return [self.propose(member, start, units=units) for member, start in starts.items()]

    def _take_turn(self, member: int) -> None:
        """Exploit, then explore; explore runs only if something was copied, unless the arm has no exploit at all."""
        arm = self._arm
        own = self.fitness[member], self.last[member].id
        if self.generation % arm.ready:
            self._standing[member] = own
            return
        others = {other: standing for other, standing in self._standing.items() if other != member}
        best = max(others, key=lambda other: others[other][0], default=member)
        copies = arm.exploit and best != member and others[best][0] >= own[0]
        self._standing[member] = others[best] if copies else own
        if copies and arm.hypers:
            self._hypers[member] = self._hypers[best]
        if arm.explore is not None and (copies or not arm.exploit):
            rng = self.rng("explore", member=member, generation=self.generation)
            self._hypers[member] = arm.explore(self.space, self._hypers[member], rng)

    def needed(self) -> set[int]:
        return super().needed() | {checkpoint for _, checkpoint in self._standing.values()}
