"""The state of a run, worked out from its events, for a terminal to show. Nothing here prints."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from statistics import fmean, median
from typing import final

from rl_pbt.records import FinalTest, Proposal, Result
from rl_pbt.store.lineage import Lineage
from rl_pbt.tasks.words import Words

UNSPENT_SHARE = 0.002  # of the budget, that methods may leave unspent


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """What is known of a run before it begins. `units` is the budget of one method on one seed."""

    title: str
    folder: str
    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    population: int
    generations: int
    units: int
    words: Words

    @property
    def total(self) -> int:
        """The budget of all methods on all seeds together, in units."""
        return self.units * len(self.methods) * len(self.seeds)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MemberRow:
    """One member as it stands.

    `fitness` is the last known score (`Result.score`) of its weights: the donor's, if they were just copied. `change` is how much
    the score changed in the interval that led to it. `changed` are the hyperparameters that differ from those of the member's
    previous interval.
    """

    proposal: Proposal  # the newest
    is_underway: bool
    donor: int | None  # the other member that was copied for it
    fitness: float | None
    failed: bool
    is_copied: bool  # whether the fitness is the donor's
    change: float | None
    changed: frozenset[str]


@final
class SearchStanding:
    """One method on one seed, from its events."""

    def __init__(self, method: str, seed: int) -> None:
        self.method, self.seed = method, seed
        self.newest: dict[int, Proposal] = {}  # by member
        self.asked_last: set[int] = set()  # proposals
        self.underway: set[int] = set()  # proposals
        self.copies = 0
        self.trained = 0  # intervals
        self.spent = 0  # units
        self.test: FinalTest | None = None
        self.lineage = Lineage()
        self._finished: dict[int, Proposal] = {}  # by member: its newest proposal with a result
        self._results: dict[int, Result] = {}  # by proposal
        self._before: dict[int, Proposal] = {}  # by member: the one before its newest

    @property
    def trains(self) -> bool:
        """Whether intervals are underway."""
        return bool(self.underway) and self.test is None

    @property
    def title(self) -> str:
        """As in "pbt, seed 0"."""
        return f"{self.method}, seed {self.seed}"

    def propose(self, proposals: Sequence[Proposal]) -> None:
        """The method asked for these, all at once."""
        self.asked_last = {proposal.id for proposal in proposals}
        self.underway |= self.asked_last
        for proposal in proposals:
            if proposal.member in self.newest:
                self._before[proposal.member] = self.newest[proposal.member]
            self.lineage.add(proposal)
            self.newest[proposal.member] = proposal
            self.copies += self.donor(proposal) is not None

    def finish(self, proposal: Proposal, result: Result) -> None:
        """One of them has its result."""
        self.underway.discard(proposal.id)
        self._finished[proposal.member] = proposal
        self._results[proposal.id] = result
        self.spent += result.cost.units
        self.trained += proposal.trains

    def donor(self, proposal: Proposal) -> int | None:
        """The other member that was copied for this proposal; None if none was."""
        donor = self.lineage.donor(proposal)
        return None if donor is None else donor.member

    @property
    def generation(self) -> int | None:
        """The generation underway, counted from 1; None if the method does not wait for all members, and so has none."""
        in_step = 1 < len(self.asked_last) == len(self.newest)
        return 1 + max(proposal.generation for proposal in self._asked_last()) if in_step else None

    def _asked_last(self) -> Iterator[Proposal]:
        return (self.lineage[id_] for id_ in self.asked_last)

    @property
    def is_reevaluating(self) -> bool:
        """Whether the work underway, or the last work, is a final re-evaluation."""
        return bool(self.asked_last) and not any(proposal.trains for proposal in self._asked_last())

    @property
    def fitness(self) -> dict[int, float]:
        """By member, the newest fitness, or the score in its place (`Result.score`); without members that have failed since."""
        told = ((member, self._results[proposal.id].score) for member, proposal in self._finished.items())
        return {member: fitness for member, fitness in told if fitness is not None}

    @property
    def by_training(self) -> bool:
        """Whether `fitness` is of training episodes, because members have not been evaluated."""
        return any(self._results[proposal.id].unevaluated for proposal in self._finished.values())

    @property
    def best(self) -> float | None:
        """The highest `fitness` of any member."""
        return max(self.fitness.values(), default=None)

    @property
    def median(self) -> float | None:
        """The median `fitness` of the members."""
        return median(self.fitness.values()) if self.fitness else None

    def fitness_of(self, proposal: Proposal) -> float | None:
        """The proposal's fitness; None if it failed, was not evaluated, or is underway."""
        return self._results[proposal.id].fitness if proposal.id in self._results else None

    def rows(self) -> list[MemberRow]:
        """Every member, by number."""
        return [self._row(member, proposal) for member, proposal in sorted(self.newest.items())]

    def _row(self, member: int, proposal: Proposal) -> MemberRow:
        known = self._known(member, proposal)
        result = None if known is None else self._results[known.id]
        before = self._before.get(member)
        return MemberRow(
            proposal=proposal,
            is_underway=proposal.id in self.underway,
            donor=self.donor(proposal),
            fitness=None if result is None else result.score,
            failed=result is not None and result.failure is not None,
            is_copied=known is not None and known.member != member,
            change=self._change(known) if known is not None and known.member == member else None,
            changed=frozenset(name for name, value in proposal.hypers.items() if before and before.hypers.get(name) != value),
        )

    def _change(self, proposal: Proposal) -> float | None:
        """How much the score changed in its interval, if it and its parent were evaluated in the same way."""
        after, before = self._results[proposal.id], None if proposal.parent is None else self._results.get(proposal.parent)
        if before is None or after.unevaluated != before.unevaluated or after.score is None or before.score is None:
            return None
        return after.score - before.score

    def _known(self, member: int, proposal: Proposal) -> Proposal | None:
        """The proposal whose result gives the fitness: itself, its parent, or the member's last one with a result."""
        if proposal.id in self._results:
            return proposal
        if proposal.parent is not None and proposal.parent in self._results:
            return self.lineage[proposal.parent]
        return self._finished.get(member)


def current(searches: Sequence[SearchStanding]) -> SearchStanding:
    """Of some searches, in the order in which they began, the one to show: the first that trains, or else the last."""
    return next((search for search in searches if search.trains), searches[-1])


@final
class RunStanding:
    """All searches of a run so far; `underway` returns the units of intervals that have not ended."""

    def __init__(self, outline: Outline, underway: Callable[[], int]) -> None:
        self.outline = outline
        self.searches: list[SearchStanding] = []
        self._underway = underway
        self.started = time.monotonic()
        self._spent_here = 0  # by this process: without what a resumed run found in its ledgers
        self._first_units: tuple[float, int] | None = None  # when units were first seen underway, and how many

    @property
    def search(self) -> SearchStanding:
        """The one to show."""
        return current(self.searches)

    def begin(self, method: str, seed: int) -> SearchStanding:
        """A new search starts."""
        self.searches.append(SearchStanding(method, seed))
        return self.searches[-1]

    def finish(self, search: SearchStanding, proposal: Proposal, result: Result, *, replayed: bool) -> None:
        """A result of one of its searches; `replayed` if it was in the ledger already."""
        search.finish(proposal, result)
        self._spent_here += 0 if replayed else result.cost.units

    def of(self, method: str) -> list[SearchStanding]:
        """The method's searches so far, one per seed."""
        return [search for search in self.searches if search.method == method]

    def spent_by(self, method: str) -> int:
        """Units that the method has spent, with its share of those underway: workers do not say for whom they train."""
        ours, training = (sum(len(one.underway) for one in some if one.trains) for some in (self.of(method), self.searches))
        underway = self._underway() * ours // training if training else 0
        return sum(search.spent for search in self.of(method)) + underway

    def tested(self, method: str) -> float | None:
        """The mean test score of the method's winners so far, each a mean over episodes; None if there is none."""
        means = [fmean(search.test.returns) for search in self.of(method) if search.test is not None and search.test.returns]
        return fmean(means) if means else None

    @property
    def spent(self) -> int:
        """Units that all methods have spent, those underway included."""
        return sum(search.spent for search in self.searches) + self._underway()

    @property
    def elapsed_s(self) -> float:
        """Seconds since this process began with the run."""
        return time.monotonic() - self.started

    @property
    def left_s(self) -> float | None:
        """Seconds that the rest will take at the pace so far; None if that is not known yet, 0 if only a test is left."""
        pace = self.pace()
        if pace is None:
            return None
        left = max(0, self.outline.total - self.spent)
        return 0.0 if left < UNSPENT_SHARE * self.outline.total else left / pace

    def pace(self) -> float | None:
        """Units per second; None if unknown. In the first interval it counts from the first units: setting up takes a while."""
        now, underway = time.monotonic(), self._underway()
        if self._spent_here:
            return (self._spent_here + underway) / (now - self.started)
        if not underway:
            return None
        if self._first_units is None:
            self._first_units = (now, underway)
        since, units = self._first_units
        return (underway - units) / (now - since) if underway > units else None


@final
class Following:
    """An observer of one search of a run, which keeps its standing up to date under the `lock` of the thread that draws it."""

    def __init__(self, run: RunStanding, method: str, seed: int, lock: AbstractContextManager[object]) -> None:
        self._run, self._lock = run, lock
        with lock:
            self.search = run.begin(method, seed)

    def proposed(self, proposals: Sequence[Proposal]) -> None:
        """These are underway."""
        with self._lock:
            self.search.propose(proposals)

    def finished(self, proposal: Proposal, result: Result, *, replayed: bool) -> None:
        """A member has its result."""
        with self._lock:
            self._run.finish(self.search, proposal, result, replayed=replayed)

    def incumbent_tested(self, test: FinalTest, units: int) -> None:
        """Not shown: it is for the curves."""

    def tested(self, test: FinalTest) -> None:
        """The winner is known."""
        with self._lock:
            self.search.test = test
