"""Who led a search at equal shares of its budget: what the anytime curve is made of.

The best of many noisy scores is too high, so a curve of the best fitness flatters every method, and the more members it has the
more. The member that leads is remembered while the search goes on, its checkpoint is kept, and when all is over it is tested on
held-out seeds, as the winner is. Nothing is decided by that, and it costs no budget.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import final

from rl_pbt.records import Proposal, Result


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Leader:
    """The proposal with the highest score when all members together had spent so many `units`: fitness or, of members that were
    not judged, the mean return of their training episodes.
    """

    proposal: int
    units: int


@final
@dataclass(slots=True, kw_only=True)
class Incumbents:
    """The leaders of one search: a function of its results alone, so that a resumed one has the same."""

    tests: int  # for each budget
    _marks: deque[int] = field(default_factory=deque)  # units at which to look, those to come
    _leaders: list[Leader] = field(default_factory=list)
    _standing: dict[int, Result] = field(default_factory=dict)  # by member: its newest training
    _spent: int = 0

    def plan(self, budget: int) -> None:
        """The search may spend so much, all that it has spent included."""
        marks = (budget * share // (self.tests + 1) for share in range(1, self.tests + 1))
        self._marks = deque(mark for mark in marks if mark > self._spent)

    def note(self, proposal: Proposal, result: Result) -> None:
        """A result; a final re-evaluation leaves no checkpoint of its own, and counts as spent."""
        self._spent += result.cost.units
        if proposal.trains:
            self._standing[proposal.member] = result

    def look(self, kept: Iterable[int]) -> None:
        """Remember who leads, where enough has been spent since the last time: of those whose checkpoints are `kept` so far."""
        if not self._marks or self._spent < self._marks[0]:
            return
        while self._marks and self._marks[0] <= self._spent:
            self._marks.popleft()
        there = set(kept)
        scores = [(s, -r.proposal) for r in self._standing.values() if (s := r.score) is not None and r.proposal in there]
        if scores:
            _, best = max(scores)
            self._leaders.append(Leader(proposal=-best, units=self._spent))

    @property
    def needed(self) -> set[int]:
        """Proposals whose checkpoints are to be kept until they are tested."""
        return {leader.proposal for leader in self._leaders}

    def taken(self) -> list[Leader]:
        """Those that led since this was asked last, in order."""
        leaders, self._leaders = self._leaders, []
        return leaders
