"""MF-PBT: sub-populations that evolve at different frequencies (Doulazmi et al. 2025, arXiv 2506.03225, RLC 2025).

Selection at every interval favours what pays off soon. Here only the first sub-population evolves that often; each of the others
lets its members train for longer between its decisions. When a sub-population evolves, of its members, best first,

* the first quarter and the second go on untouched;
* the third quarter meets migrants, the best members of the other sub-populations, each at most once. A migrant that is better
  gives its weights, and if its sub-population is slower, its hypers too; one of a faster sub-population may owe its success to
  greedy hypers, so those are taken from the own sub-population's best. Nothing is perturbed;
* the last quarter copies the first, weights and hypers, the worst the best; its hypers are explored.

The rule is that of the authors' code. It runs 32 members in four sub-populations, with decisions every 1, 10, 25 and 50 of 1000
rounds. Ours are derived from the plan: as many sub-populations as the population allows, four at most, each of four members or
a multiple; and periods in a geometric series from 1 to about the square root of the generations, so that the slowest waits for
about as many generations as it has decisions (32 of 1000). Other departures: hypers are explored as in `pbt` (`--factors`; the
authors perturb by 0.8 and 1.25); whoever is copied is strictly better; and a failure is replaced when it happens, from its own
sub-population's first quarter, else from the best of the others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import final

from rl_pbt.records import Proposal, UserError
from rl_pbt.search.budget import Plan
from rl_pbt.search.exploit import ranking
from rl_pbt.search.pbt import PBT, Evolution
from rl_pbt.search.setup import Setup

QUARTERS = 4
MOST = 4  # sub-populations, as in the paper


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """Whose weights and whose hypers a member takes, and whether those are explored then."""

    weights: int
    hypers: int
    explore: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SubPopulation:
    """Members that evolve together, after every `period` generations."""

    members: tuple[int, ...]
    period: int


def sub_populations(plan: Plan) -> tuple[SubPopulation, ...]:
    """Fastest first. Raises UserError where the plan has too few members or generations for two of them."""
    population, decisions = plan.population, plan.generations - 1
    counts = [count for count in range(MOST, 1, -1) if population % (QUARTERS * count) == 0]
    if not counts:
        raise UserError(f"mf-pbt needs a --population of 8, 12, 16, 24 or another multiple of 8 or 12, not {population}")
    for count in counts:
        series = periods(count, decisions)
        if series[-1] <= decisions:
            size = population // count
            members = [tuple(range(start, start + size)) for start in range(0, population, size)]
            return tuple(SubPopulation(members=m, period=p) for m, p in zip(members, series, strict=True))
    # Periods differ, so the slowest of `count` is `count` at least, and must come round once.
    raise UserError(f"mf-pbt needs {counts[-1] + 1} generations or more here, but --frames / --interval is {plan.generations}")


def periods(count: int, decisions: int) -> list[int]:
    """A geometric series from 1 to the square root of how often one could decide, in whole numbers that differ."""
    series = [1]
    for index in range(1, count):
        series.append(max(series[-1] + 1, round(decisions ** (0.5 * index / (count - 1)))))
    return series


def evolve(
    populations: Sequence[SubPopulation],
    deciding: Collection[SubPopulation],
    order: Sequence[int],
    fitness: Mapping[int, float | None],
) -> dict[int, Copy]:
    """Member -> what it copies. `order` is all members, best first; a failure has no fitness."""
    period = {member: population.period for population in populations for member in population.members}
    copies: dict[int, Copy] = {}
    for population in populations:
        own = [member for member in order if member in population.members]
        strangers = [member for member in order if member not in population.members and fitness[member] is not None]
        if population in deciding:
            copies |= _migrations(own, strangers, fitness, period)
        copies |= _exploits(own, strangers, fitness, everyone=population in deciding)
    return copies


def _exploits(
    own: Sequence[int], strangers: Sequence[int], fitness: Mapping[int, float | None], *, everyone: bool
) -> dict[int, Copy]:
    """The last quarter, where not only failures do, copies the first; where that has failed, the best of the others."""
    size = len(own) // QUARTERS
    donors = [member for member in own[:size] if fitness[member] is not None] or strangers[:size]
    losers = [m for place, m in enumerate(own) if fitness[m] is None or (everyone and place >= len(own) - size)]
    pairs = zip(reversed(losers), cycle(donors), strict=False)
    return {loser: Copy(weights=donor, hypers=donor, explore=True) for loser, donor in pairs if _better(fitness, donor, loser)}


def _migrations(
    own: Sequence[int], strangers: Sequence[int], fitness: Mapping[int, float | None], period: Mapping[int, int]
) -> dict[int, Copy]:
    size = len(own) // QUARTERS
    copies = {}
    migrants = list(strangers)
    for member in own[2 * size : 3 * size]:
        if migrants and _better(fitness, migrants[0], member):
            migrant = migrants.pop(0)
            hypers = migrant if period[migrant] > period[member] else own[0]
            copies[member] = Copy(weights=migrant, hypers=hypers, explore=False)
    return copies


def _better(fitness: Mapping[int, float | None], one: int, other: int) -> bool:
    ours, theirs = fitness[one], fitness[other]
    return ours is not None and (theirs is None or ours > theirs)


@final
class MFPBT(PBT):
    """Members are ranked within their sub-population, which is a run of consecutive members, and against the others."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup, Evolution(exploit=None, explore=setup.explore))
        self.populations = sub_populations(setup.plan)

    def successors(self, members: Sequence[int], frames: int) -> list[Proposal]:
        if not frames:
            return []
        copies = self._copies()
        return [
            self._copy(member, copies[member], frames) if member in copies else self.successor(member, None, frames)
            for member in members
        ]

    def _copies(self) -> dict[int, Copy]:
        deciding = [p for p in self.populations if self.generation % p.period == 0 and self.evolves(p.members[0])]
        order = ranking(self.fitness, self.rng("exploit", generation=self.generation))[::-1]
        return evolve(self.populations, deciding, order, {member: result.fitness for member, result in self.results.items()})

    def _copy(self, member: int, copy: Copy, frames: int) -> Proposal:
        weights, donor = self.last[copy.weights], self.last[copy.hypers]
        hypers = self.explore(member, donor.hypers) if copy.explore else donor.hypers
        return self.propose(member, hypers, parent=weights.id, frames=frames, hypers_from=donor.id)
