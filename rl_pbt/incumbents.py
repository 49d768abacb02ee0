"""Which member led a search at equally spaced shares of its budget: the data of the anytime curve.

The best of many noisy scores is biased upwards, so a curve of the best fitness flatters every method, more so the more members it
has. Instead, the leading member is remembered during the search and its checkpoint is kept; when the search is over, it is tested
on held-out seeds, as the winner is. Nothing is decided by these tests, and they cost no budget.
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
    """The proposal with the highest score when all members together had spent `units`.

    The score is its fitness or, if members were not evaluated, the mean return of its training episodes.
    """

    proposal: int
    units: int


@final
@dataclass(slots=True, kw_only=True)
class Incumbents:
    """The leaders of one search: a function of its results alone, so a resumed search has the same ones."""

    tests: int  # per budget
    _marks: deque[int] = field(default_factory=deque)  # units spent at which to look for the leader, those still to come
    _leaders: list[Leader] = field(default_factory=list)
    _standing: dict[int, Result] = field(default_factory=dict)  # by member: the result of its newest training
    _spent: int = 0

    def plan(self, budget: int) -> None:
        """Set the budget: all units that the search may spend, including those already spent."""
        marks = (budget * share // (self.tests + 1) for share in range(1, self.tests + 1))
        self._marks = deque(mark for mark in marks if mark > self._spent)

    def note(self, proposal: Proposal, result: Result) -> None:
        """Take note of a result. A final re-evaluation leaves no checkpoint of its own; only its cost counts."""
        self._spent += result.cost.units
        if proposal.trains:
            self._standing[proposal.member] = result

    def look(self, kept: Iterable[int]) -> None:
        """If the next mark has been reached, remember the leader, among the proposals whose checkpoints are still `kept`."""
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
        """Proposals whose checkpoints must be kept until they are tested."""
        return {leader.proposal for leader in self._leaders}

    def taken(self) -> list[Leader]:
        """The leaders found since the last call, in order."""
        leaders, self._leaders = self._leaders, []
        return leaders
