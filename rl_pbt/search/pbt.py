"""Population Based Training (Jaderberg et al. 2017, arXiv 1711.09846), synchronous, and variants built from the same parts.

`evolution` says what happens at a ready point; `exploit` and `explore` are its rules. This module has the driver,
and the variants with the rules that they select; `evolution_options` has what can be set of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

from rl_pbt.records import Proposal, Result
from rl_pbt.search.base import Generational
from rl_pbt.search.evolution import Evolution
from rl_pbt.search.evolution_options import CopyingOptions, EvolutionOptions, ExploringOptions, TruncationOptions
from rl_pbt.search.exploit import (
    BinaryTournament,
    RandomRival,
    TTest,
    along_line,
)
from rl_pbt.search.explore import Perturb, factors_option
from rl_pbt.search.problem import Problem


@final
class PBT(Generational):
    """All members are ranked at equal age and decide together.

    The ranking uses each member's newest result, filled up to the last `episodes` returns of its line of descent if it has fewer.
    """

    def __init__(self, problem: Problem, evolution: Evolution, *, episodes: int = 0) -> None:
        super().__init__(problem)
        self.evolution = evolution
        self._episodes = episodes
        self._before: dict[int | None, Result] = {}  # by id: the filled-up results of the previous generation

    def generate(self, members: Sequence[int], units: int) -> list[Proposal]:
        before = {member: self._before.get(proposal.parent) for member, proposal in self.last.items()}
        seen = {member: along_line(result, before[member], self._episodes) for member, result in self.results.items()}
        self._before = {self.last[member].id: result for member, result in seen.items()}
        donors = self.evolution.donors(self, members, seen)
        return [self.propose(m, self.evolution.start(self, m, donors.get(m)), units=units) for m in members]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ImpalaOptions(EvolutionOptions):
    """Options of PBT as in IMPALA, which never resamples."""

    factors: tuple[float, ...] = factors_option()

    def evolution(self) -> Evolution:
        """Espeholt 2018, App. F: every member explores, each hyperparameter with probability 1/3."""
        explore = Perturb(factors=self.factors, probability=1 / 3)
        return Evolution(exploit=RandomRival(), explore=explore, everyone=True, burn_in=self.burn_in)


def truncation(problem: Problem, options: TruncationOptions) -> PBT:
    """`pbt`: Jaderberg 2017, sec. 4.1.1."""
    return PBT(problem, options.evolution())


def t_test(problem: Problem, options: ExploringOptions) -> PBT:
    """`pbt-ttest`: Jaderberg 2017, sec. 4.1.1."""
    test = TTest()
    return PBT(problem, replace(options.evolution(), exploit=test), episodes=test.episodes)


def tournament(problem: Problem, options: ExploringOptions) -> PBT:
    """`pbt-tournament`: Jaderberg 2017, sec. 4.3.1."""
    return PBT(problem, replace(options.evolution(), exploit=BinaryTournament()))


def impala(problem: Problem, options: ImpalaOptions) -> PBT:
    """`pbt-impala`: Espeholt 2018, App. F."""
    return PBT(problem, options.evolution())


def weights_only(problem: Problem, options: CopyingOptions) -> PBT:
    """`weights-only`: a member that copies keeps its own hyperparameters."""
    return PBT(problem, replace(options.evolution(), hypers=False))


def hypers_only(problem: Problem, options: TruncationOptions) -> PBT:
    """`hypers-only`: a member that copies keeps its own weights."""
    return PBT(problem, replace(options.evolution(), weights=False))


def explore_only(problem: Problem, options: ExploringOptions) -> PBT:
    """`explore-only`: no member copies."""
    return PBT(problem, replace(options.evolution(), everyone=True))


def exploit_only(problem: Problem, options: CopyingOptions) -> PBT:
    """`exploit-only`: what is copied is not changed."""
    return PBT(problem, options.evolution())
