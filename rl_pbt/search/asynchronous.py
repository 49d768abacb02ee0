"""Population Based Training without a barrier between generations (Jaderberg et al. 2017, arXiv 1711.09846, Algorithm 1)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import final

from rl_pbt.options import option
from rl_pbt.records import Proposal, Result
from rl_pbt.search.base import Bookkeeping
from rl_pbt.search.budget import Plan
from rl_pbt.search.evolution import Evolution
from rl_pbt.search.evolution_options import CopyAndExplore
from rl_pbt.search.problem import Problem


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AsynchronousOptions(CopyAndExplore):
    """The options of `pbt`, and whose checkpoints a member may copy."""

    any_age: bool = option(False, help="let a member copy checkpoints that have trained for longer than its own")

    def evolution(self) -> Evolution:
        """Truncation selection, then explore."""
        return self.truncation()


@final
class AsynchronousPBT(Bookkeeping):
    """A member decides as soon as it is ready, without waiting for the others.

    It compares itself with each other member by that member's newest checkpoint that has trained for no longer than its own, so
    being older is no advantage; with `any_age`, by the newest of all. Members take turns in a fixed order, so they are treated
    alike even if there are more of them than workers.
    """

    def __init__(self, problem: Problem, options: AsynchronousOptions) -> None:
        super().__init__(problem)
        self.evolution = options.evolution()
        self._any_age = options.any_age
        self._trails: dict[int, deque[tuple[Proposal, Result]]] = {}  # by member: results that some member may still look at
        self._units: dict[int, int] = {}  # by generation: the first member to reach it sets them for all

    def tell(self, result: Result) -> None:
        proposal = self.underway.get(result.proposal)
        super().tell(result)
        if proposal is not None and proposal.trains:
            self._trails.setdefault(proposal.member, deque()).append((proposal, result))
            self._forget()

    def _forget(self) -> None:
        """Forget results that not even the youngest member needs, since it may look at newer ones."""
        youngest = min(result.lineage_units for result in self.results.values())
        for trail in self._trails.values():
            while len(trail) > 1 and trail[1][1].lineage_units <= youngest:
                trail.popleft()

    def work(self) -> list[Proposal]:
        if not self.last:
            members = [] if self.underway else range(self.plan.population)
            return [self.begin(member, self._allowance(0)) for member in members]
        busy = {proposal.member for proposal in self.underway.values()}
        ready = [m for m in sorted(self.last) if m not in busy and self.intervals_trained(m) < self.plan.generations]
        units = {member: allowed for member in ready if (allowed := self._allowance(self.intervals_trained(member)))}
        donors = {member: self._donor(member) for member in units}  # chosen before any is proposed: all see the same results
        return [self.propose(m, self.evolution.start(self, m, donor), units=units[m]) for m, donor in donors.items()]

    def extend(self, plan: Plan) -> None:
        super().extend(plan)
        self._units.clear()  # what the smaller budget allowed, which may have been nothing

    def _allowance(self, generation: int) -> int:
        if generation not in self._units:
            self._units[generation] = self.account.allowance(self.plan.population, self.plan.generations - generation)
        return self._units[generation]

    def _donor(self, member: int) -> Proposal | None:
        """The proposal that the member copies; None if it copies nothing."""
        seen = {other: past for other in sorted(self._trails) if (past := self._seen_by(member, other)) is not None}
        results = {other: result for other, (_, result) in seen.items()}
        rng = self.rng("exploit", member=member, generation=self.next_generation(member))
        chosen = self.evolution.choose(self, results, [member], rng)
        return seen[chosen[member]][0] if member in chosen else None

    def _seen_by(self, member: int, other: int) -> tuple[Proposal, Result] | None:
        """What a member looks at of another (or of itself). A member that failed looks at everybody's newest."""
        own = self.results[member]
        anything = other == member or self._any_age or own.failure is not None
        past = [(p, r) for p, r in self._trails[other] if anything or r.lineage_units <= own.lineage_units]
        return past[-1] if past else None

    def needed(self) -> set[int]:
        if all(self.intervals_trained(member) == self.plan.generations for member in self.last):
            return super().needed()
        return super().needed() | {p.id for trail in self._trails.values() for p, result in trail if result.failure is None}
