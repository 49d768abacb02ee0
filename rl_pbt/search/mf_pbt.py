"""MF-PBT: sub-populations that evolve at different frequencies (Doulazmi et al. 2025, arXiv 2506.03225, RLC 2025).

Selection at every interval favours what pays off soon. Here only the first sub-population evolves that often; in each of the
others members train for longer between decisions. When a sub-population evolves, its members are ranked, best first:

* The first and the second quarter train on unchanged.
* The third quarter meets migrants, the best members of the other sub-populations, each at most once. A migrant that is better
  gives its weights and, if its sub-population is slower, its hyperparameters too. A migrant from a faster sub-population may owe
  its success to greedy hyperparameters, so then those of the own sub-population's best are taken. Nothing is perturbed.
* The last quarter copies the weights and hyperparameters of the first: its best member from the best, and so on. The
  hyperparameters are then explored.

The rule follows the authors' code (WaelDLZ/MF-PBT). It runs 32 members in four sub-populations, with decisions every 1, 10, 25
and 50 of 1000 rounds. Ours are derived from the plan: as many sub-populations as the population allows, at most four, each with
four members or a multiple of that; and periods in a geometric series from 1 to about the square root of the generations, so
that the slowest period is about as many generations as it makes decisions (32 of 1000). Other deviations: hyperparameters are
explored as in `pbt` (the authors perturb by 0.8 and 1.25); a donor must be strictly better; and a failed member is replaced as
soon as it fails, by one of its own sub-population's first quarter or, if that has failed, by the best of the others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import final

from rl_pbt.errors import BadSetting
from rl_pbt.records import Proposal
from rl_pbt.search.base import Generational, Start
from rl_pbt.search.budget import Plan
from rl_pbt.search.evolution_options import ExploringOptions
from rl_pbt.search.exploit import ranking
from rl_pbt.search.problem import Problem

QUARTERS = 4
MOST_POPULATIONS = 4  # as in the paper


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """Whose weights and whose hyperparameters a member takes, and whether the hyperparameters are then explored."""

    weights: int
    hypers: int
    explore: bool


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SubPopulation:
    """Members that evolve together, after every `period` generations."""

    members: tuple[int, ...]
    period: int


def sub_populations(plan: Plan) -> tuple[SubPopulation, ...]:
    """The sub-populations, fastest first. Raises BadSetting if the plan has too few members or generations for at least two."""
    population, decisions = plan.population, plan.generations - 1
    counts = [count for count in range(MOST_POPULATIONS, 1, -1) if population % (QUARTERS * count) == 0]
    if not counts:
        raise BadSetting("population", f"must be 8, 12, 16, 24 or another multiple of 8 or 12 for mf-pbt, but is {population}")
    for count in counts:
        series = periods(count, decisions)
        if series[-1] <= decisions:
            size = population // count
            members = [tuple(range(start, start + size)) for start in range(0, population, size)]
            return tuple(SubPopulation(members=m, period=p) for m, p in zip(members, series, strict=True))
    # Periods differ, so the slowest of `count` is at least `count`, and must elapse at least once.
    shortest = counts[-1] + 1
    raise BadSetting(
        "interval",
        f"must leave {shortest} generations or more for mf-pbt with a population of {population}, but leaves {plan.generations}",
    )


def periods(count: int, decisions: int) -> list[int]:
    """`count` periods: a geometric series from 1 to the square root of the number of decisions, as distinct whole numbers."""
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
    """Member -> what it copies, if anything. `order` is all members, best first; the fitness of a failed one is None."""
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
    """The last quarter (with `everyone`) and all failures copy the first quarter; if that has failed, the best of the others."""
    size = len(own) // QUARTERS
    donors = [member for member in own[:size] if fitness[member] is not None] or strangers[:size]
    losers = [m for place, m in enumerate(own) if fitness[m] is None or (everyone and place >= len(own) - size)]
    pairs = zip(losers, cycle(donors), strict=False)
    return {loser: Copy(weights=donor, hypers=donor, explore=True) for loser, donor in pairs if _better(fitness, donor, loser)}


def _migrations(
    own: Sequence[int], strangers: Sequence[int], fitness: Mapping[int, float | None], period: Mapping[int, int]
) -> dict[int, Copy]:
    """The third quarter meets migrants, best first, each at most once."""
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
class MFPBT(Generational):
    """Members are ranked within their sub-population, a range of consecutive member numbers, and against the others."""

    def __init__(self, problem: Problem, options: ExploringOptions) -> None:
        super().__init__(problem)
        self.evolution = options.evolution()
        self.populations = sub_populations(problem.plan)

    def generate(self, members: Sequence[int], units: int) -> list[Proposal]:
        copies = self._copies()
        return [self.propose(member, self._start(member, copies.get(member)), units=units) for member in members]

    def _copies(self) -> dict[int, Copy]:
        """Member -> what it copies; all decide together, on the population's newest results."""
        deciding = [
            population
            for population in self.populations
            if self.generation % population.period == 0 and self.evolution.evolves(self, population.members[0])
        ]
        order = ranking(self.fitness, self.rng("exploit", generation=self.generation))[::-1]
        return evolve(self.populations, deciding, order, {member: result.fitness for member, result in self.results.items()})

    def _start(self, member: int, copy: Copy | None) -> Start:
        if copy is None:
            return self.evolution.start(self, member, None)
        donor = self.last[copy.hypers]
        hypers = self.evolution.explored(self, member, donor.hypers) if copy.explore else donor.hypers
        return Start(parent=self.last[copy.weights].id, hypers=hypers, hypers_from=donor.id)
