"""Population Based Training (Jaderberg et al. 2017, arXiv 1711.09846, Algorithm 1), synchronous and asynchronous.

At every ready point a member may exploit, that is copy the weights and the hypers of a better one, and then explore, that is move
the hypers it copied; everyone else trains on, untouched. An `Evolution` says how; the paper's variants and its ablations
(sec. 5) are made of the same parts.

Departures: those of `exploit` and `explore`; and a member that failed and finds nobody to copy weights from starts anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from rl_pbt.records import Hypers, Proposal, Result
from rl_pbt.search.base import Generational
from rl_pbt.search.exploit import Exploit
from rl_pbt.search.explore import Explore
from rl_pbt.search.setup import Setup


@dataclass(frozen=True, slots=True, kw_only=True)
class Evolution:
    """What happens at a ready point. A copy copies `weights`, `hypers` or both; its hypers are explored, or `everyone`'s are."""

    exploit: Exploit | None
    explore: Explore | None
    weights: bool = True
    hypers: bool = True
    everyone: bool = False


class PBT(Generational):
    """Synchronous: all members are ranked at equal age."""

    def __init__(self, setup: Setup, evolution: Evolution) -> None:
        super().__init__(setup)
        self.evolution = evolution

    def generate(self) -> list[Proposal]:
        return self.successors(sorted(self.results), self.allowance(self.plan.population))

    def successors(self, members: Sequence[int], frames: int) -> list[Proposal]:
        """The next proposal of each, decided together from how the population stands."""
        if not frames:
            return []
        donors = self.donors(members)
        return [self.successor(member, donors.get(member), frames) for member in members]

    def choose_donors(self, members: Sequence[int]) -> dict[int, Proposal]:
        """Loser -> the proposal that it copies."""
        if self.evolution.exploit is None:
            return {}
        chosen = self.evolution.exploit(self.results, members, self.rng("exploit", generation=self.generation))
        return {loser: self.last[donor] for loser, donor in chosen.items()}

    def donors(self, members: Sequence[int]) -> dict[int, Proposal]:
        """`choose_donors` under the burn-in."""
        donors = self.choose_donors(members)
        return {
            member: donor
            for member, donor in donors.items()
            # During the burn-in only a failure, which cannot train on, is replaced.
            if self.evolves(member) or self.results[member].failure is not None
        }

    def evolves(self, member: int) -> bool:
        """Whether its burn-in is over."""
        return self.next_generation(member) * self.plan.interval >= self.setup.burn_in

    def successor(self, member: int, donor: Proposal | None, frames: int) -> Proposal:
        """The member's next proposal, where it copies from `donor` or from nobody."""
        own, evolution = self.last[member], self.evolution
        parent: int | None = own.id if self.results[member].failure is None else None
        hypers = own.hypers
        hypers_from = None
        if donor is not None:
            if evolution.weights:
                parent = donor.id
            if evolution.hypers:
                hypers, hypers_from = donor.hypers, donor.id
        elif parent is None:
            hypers = self.space.sample(self.rng("restart", member=member, generation=self.next_generation(member)))
        if hypers_from is not None or (evolution.everyone and self.evolves(member)):
            hypers = self.explore(member, hypers)
        return self.propose(member, hypers, parent=parent, frames=frames, hypers_from=hypers_from)

    def explore(self, member: int, hypers: Hypers) -> Hypers:
        explore = self.evolution.explore
        if explore is None:
            return hypers
        return explore(self.space, hypers, self.rng("explore", member=member, generation=self.next_generation(member)))


class AsynchronousPBT(PBT):
    """A member decides as soon as it is ready, without waiting for the others.

    It compares itself with each of the others by the newest checkpoint that has trained for no longer than its own: nobody is
    better for being older. With `any_age` it takes the newest. Members take turns in a fixed order, so more of them than
    workers are treated alike.
    """

    def __init__(self, setup: Setup, evolution: Evolution) -> None:
        super().__init__(setup, evolution)
        self._trails: dict[int, deque[tuple[Proposal, Result]]] = {}  # results that somebody may have to look at
        self._frames: dict[int, int] = {}  # by generation: whoever is first in it decides for all

    def tell(self, result: Result) -> None:
        proposal = self.underway.get(result.id)
        super().tell(result)
        if proposal is not None and proposal.trains:
            self._trails.setdefault(proposal.member, deque()).append((proposal, result))
            self._forget()

    def _forget(self) -> None:
        """What not even the youngest needs, since it may look at something newer."""
        youngest = min(result.lineage_frames for result in self.results.values())
        for trail in self._trails.values():
            while len(trail) > 1 and trail[1][1].lineage_frames <= youngest:
                trail.popleft()

    def work(self) -> list[Proposal]:
        if not self.last:
            return [] if self.underway else self.first_generation()
        busy = {proposal.member for proposal in self.underway.values()}
        ready = [m for m in sorted(self.last) if m not in busy and self.next_generation(m) < self.plan.generations]
        return self.successors(ready, self._allowance(self.next_generation(ready[0]))) if ready else []

    def _allowance(self, generation: int) -> int:
        if generation not in self._frames:
            self._frames[generation] = self.account.allowance(self.plan.population, self.plan.generations - generation)
        return self._frames[generation]

    def choose_donors(self, members: Sequence[int]) -> dict[int, Proposal]:
        return {member: donor for member in members if (donor := self._donor(member)) is not None}

    def _donor(self, member: int) -> Proposal | None:
        if self.evolution.exploit is None:
            return None
        seen = {other: past for other in sorted(self._trails) if (past := self._seen_by(member, other)) is not None}
        rng = self.rng("exploit", member=member, generation=self.next_generation(member))
        chosen = self.evolution.exploit({other: result for other, (_, result) in seen.items()}, [member], rng)
        return seen[chosen[member]][0] if member in chosen else None

    def _seen_by(self, member: int, other: int) -> tuple[Proposal, Result] | None:
        own = self.results[member]
        anything = other == member or self.setup.any_age or own.failure is not None
        past = [(p, r) for p, r in self._trails[other] if anything or r.lineage_frames <= own.lineage_frames]
        return past[-1] if past else None

    def needed(self) -> set[int]:
        if all(self.next_generation(member) == self.plan.generations for member in self.last):
            return super().needed()
        return super().needed() | {p.id for trail in self._trails.values() for p, result in trail if result.failure is None}
