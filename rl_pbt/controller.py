"""The loop ask -> submit -> record -> tell, and the replay that makes a resumed run the same run.

There is one code path: fresh and resumed runs both go through `Search.steps`. While the ledger holds recorded events, the journal
answers from it and checks that what is asked for now equals what was asked for then; from there on it appends.

The method is asked for more after each job, and may ask for work while other work is underway. Results are taken in the order in
which the work was asked for, never in the order in which it finishes. So even a run without a barrier gives the same ledger on
any machine, at the price that a slow job holds up those behind it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import chain
from typing import TypeVar

from rl_pbt.errors import LostCheckpoint, UserError
from rl_pbt.executors.base import Executor, Future, Steps
from rl_pbt.incumbents import Incumbents, Leader
from rl_pbt.observers.base import Observer
from rl_pbt.records import FinalTest, Proposal, Result, joined
from rl_pbt.restoring import Restorer
from rl_pbt.search import Method, Plan
from rl_pbt.store.events import Chosen, Ended, Extended, Proposed
from rl_pbt.store.journal import Journal
from rl_pbt.tasks.base import FinalTestJob, IntervalJob
from rl_pbt.tasks.checkpoints import Checkpoints

T = TypeVar("T")
TEST_EPISODES_PER_JOB = 8  # small, to keep all workers busy; the same for any number of workers, which changes no result


def _silent(line: str) -> None:
    """Discard the message."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """One method on one seed, with what it needs to run.

    * `title` names it in messages.
    * `population` is the number of failures in a row after which the search checks whether any member is still training.
    * `group_size` is the largest number of proposals in one job.
    * `test_episodes` is the number of episodes that the winner is tested on.
    * `budget` is what all members together may spend, in units. At `anytime_tests` equally spaced points before its end the
      leading member is remembered; it is tested when the search is over.
    * `extensions` are larger budgets: the method continues with each of them when the one before is spent.
    * `keep_population` keeps the checkpoints from which the search could be extended again, not only the winner's.
    * `cpu_s` is the clock, in seconds, that times the method's own computations.
    * `say` shows a person what happens besides the search itself.
    """

    title: str
    method: Method
    executor: Executor
    journal: Journal
    checkpoints: Checkpoints
    root_seed: int
    population: int
    group_size: int
    test_episodes: int
    budget: int = 0
    anytime_tests: int = 0
    observers: Sequence[Observer] = ()
    extensions: Sequence[Plan] = ()
    cpu_s: Callable[[], float] = time.process_time
    keep_population: bool = False
    say: Callable[[str], None] = _silent

    @cached_property
    def restorer(self) -> Restorer:
        """Recomputes lost checkpoints."""
        return Restorer(executor=self.executor, checkpoints=self.checkpoints, say=self.say)

    def run(self) -> None:
        """Run the whole search, as `steps` does."""
        for _ in self.steps():
            pass  # the next step waits

    def steps(self) -> Steps[None]:
        """Run the method until it asks for nothing more, test its winner, and keep only the winner's checkpoint.

        Each future is yielded before its result is taken, so whoever runs several searches can let the others go on meanwhile.
        Raises UserError if all members fail, and whatever an executor raises.
        """
        loop = _Loop(search=self, incumbents=Incumbents(tests=self.anytime_tests))
        loop.incumbents.plan(self.budget)
        yield from loop.steps()
        yield from self._conclude(self.method.winner(), loop.incumbents.taken())
        for plan in self.extensions:
            self.journal.record([Extended(budget=plan.budget_per_member)])
            self.method.extend(plan)
            loop.incumbents.plan(plan.total)
            yield from loop.steps()
            yield from self._conclude(self.method.winner(), loop.incumbents.taken())
        self._tidy(self.method.winner())

    def _conclude(self, winner: int | None, leaders: Sequence[Leader]) -> Steps[None]:
        """Record the winner; then test it and the earlier leaders, all at once."""
        self.journal.record([Chosen(proposal=winner)])
        if winner is not None:
            few = min(self.test_episodes, max(TEST_EPISODES_PER_JOB, self.test_episodes // 4))
            asked = [
                *(_Asked(leader.proposal, leader.units, few) for leader in leaders),
                _Asked(winner, None, self.test_episodes),
            ]
            yield from self._test(asked)
        self.journal.record([Ended()])

    def _test(self, asked: Sequence[_Asked]) -> Steps[None]:
        """Run the tests that the ledger does not have yet, and tell the observers of all of them."""
        missing = asked[self.journal.tests_held :]
        fresh = iter((yield from self._tested(missing)))
        for one in asked:
            test = self.journal.test(one.proposal, one.units, lambda: next(fresh))
            for observer in self.observers:
                if one.units is None:
                    observer.tested(test)
                else:
                    observer.incumbent_tested(test, one.units)

    def _tidy(self, winner: int | None) -> None:
        """Delete every checkpoint that is no longer needed."""
        if self.keep_population:
            self.checkpoints.keep_only(self.method.needed())
        elif winner is None:
            self.checkpoints.leave_only([])
        else:
            self._leave_only(winner)

    def _leave_only(self, winner: int) -> None:
        """Delete all checkpoints but the winner's, which is recomputed if it is lost."""
        while True:
            try:
                return self.checkpoints.leave_only([winner])
            except LostCheckpoint as lost:
                self.restorer.restore(lost, [winner])

    def _tested(self, asked: Sequence[_Asked]) -> Steps[list[FinalTest]]:
        """Run these tests; lost checkpoints are recomputed."""
        while True:
            futures = [[self.executor.submit(job) for job in self._shares(one)] for one in asked]
            yield from chain.from_iterable(futures)
            try:
                return [joined([future.result() for future in of_one]) for of_one in futures]
            except LostCheckpoint as lost:
                self.restorer.restore(lost, [one.proposal for one in asked])

    def _shares(self, asked: _Asked) -> list[FinalTestJob]:
        """The jobs that a test is split into."""
        return [
            FinalTestJob(
                proposal=asked.proposal,
                episodes=range(start, min(start + TEST_EPISODES_PER_JOB, asked.episodes)),
                root_seed=self.root_seed,
                checkpoints=self.checkpoints,
                digest=self.restorer.digests[asked.proposal],
            )
            for start in range(0, asked.episodes, TEST_EPISODES_PER_JOB)
        ]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A test to run: of the winner (`units` is None), or of the proposal that led when `units` had been spent."""

    proposal: int
    units: int | None
    episodes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Underway:
    """A job and its future; None if the ledger already has the results."""

    job: IntervalJob
    future: Future[list[Result]] | None

    @property
    def ids(self) -> list[int]:
        return [proposal.id for proposal in self.job.proposals]


@dataclass(slots=True, kw_only=True)
class _Loop:
    """The state of a running search."""

    search: Search
    incumbents: Incumbents
    lineage_units: dict[int, int] = field(default_factory=dict)  # by proposal
    underway: deque[_Underway] = field(default_factory=deque)
    newest: dict[int, Result] = field(default_factory=dict)  # by member
    failures: list[Result] = field(default_factory=list)  # since the last success
    method_s: float = 0.0  # CPU seconds of the method since the last results

    def steps(self) -> Steps[None]:
        method, journal = self.search.method, self.search.journal
        finished: list[tuple[Proposal, Result, bool]] = []
        while True:
            if proposals := self._timed(method.ask):
                journal.record([Proposed(proposal=proposal) for proposal in proposals])
                self._submit(proposals)
            self._show(finished, proposals)  # only now, so that workers do not wait for it
            if not self.underway:
                return
            finished = yield from self._results(self.underway.popleft())
            for proposal, result, _ in finished:
                self.lineage_units[result.proposal] = result.lineage_units
                self._timed(partial(method.tell, result))
                self.incumbents.note(proposal, result)
                self.newest[proposal.member] = result
                if result.failure is None:
                    self.failures.clear()
                else:
                    self.failures.append(result)
            self.incumbents.look(method.needed())
            if not journal.replaying:  # during replay, `needed` does not know what the newest proposals need
                self.search.checkpoints.keep_only(self._needed, being_written=self._being_written)
            self._check_that_somebody_trains()

    def _timed(self, work: Callable[[], T]) -> T:
        """Run the method's own computation, and time it: fitting a model takes time that no worker spends."""
        begun = self.search.cpu_s()
        outcome = work()
        self.method_s += self.search.cpu_s() - begun
        return outcome

    @property
    def _needed(self) -> set[int]:
        return {*self.search.method.needed(), *self.incumbents.needed}

    @property
    def _being_written(self) -> list[int]:
        return [proposal for underway in self.underway for proposal in underway.ids]

    def _check_that_somebody_trains(self) -> None:
        """Raises UserError if every member failed, or if as many results in a row failed at no cost.

        Without the second rule, a method that replaces failed members could draw new ones for ever.
        """
        if len(self.failures) < self.search.population:
            return
        in_a_row = self.failures[-self.search.population :]
        everybody = not self.underway and all(result.failure is not None for result in self.newest.values())
        if everybody or all(result.cost.units == 0 for result in in_a_row):
            why = in_a_row[-1].failure
            raise UserError(f"{self.search.title}: every member failed (the last: {why}): mend that, and start a new run")

    def _submit(self, proposals: Sequence[Proposal]) -> None:
        for group in _groups(proposals, self.search.group_size):
            job = IntervalJob(
                proposals=tuple(group),
                lineage_units=tuple(0 if p.parent is None else self.lineage_units[p.parent] for p in group),
                root_seed=self.search.root_seed,
                checkpoints=self.search.checkpoints,
                digests={p.parent: self.search.restorer.digests[p.parent] for p in group if p.parent is not None},
            )
            known = self.search.journal.holds(proposal.id for proposal in group)
            self.underway.append(_Underway(job=job, future=None if known else self.search.executor.submit(job)))

    def _results(self, underway: _Underway) -> Steps[list[tuple[Proposal, Result, bool]]]:
        """Each proposal with its result and whether that was in the ledger.

        If the ledger lacks any result of a group, the whole group was run again.
        """
        journal, proposals = self.search.journal, underway.job.proposals
        computed = {result.proposal: result for result in (yield from self._computed(underway))}
        known = {p.id: result for p in proposals if (result := journal.known_result(p.id))}
        missing = [p.id for p in proposals if p.id not in known]
        method_s, self.method_s = self.method_s, 0.0  # if the ledger has the results, it has this time too
        for id_ in missing:
            cost = replace(computed[id_].cost, method_s=method_s / len(missing))
            computed[id_] = replace(computed[id_], cost=cost)
        if missing:
            journal.record_results([computed[id_] for id_ in missing])
        results = computed | known
        self.search.restorer.note(underway.job, results.values())
        return [(p, results[p.id], p.id in known) for p in proposals]

    def _computed(self, underway: _Underway) -> Steps[list[Result]]:
        """The results of a job, none if the ledger has them; lost checkpoints of parents are recomputed."""
        future = underway.future
        while future is not None:
            yield future
            try:
                return future.result()
            except LostCheckpoint as lost:
                jobs = [underway.job, *(other.job for other in self.underway)]
                needed = self._needed.union(*(job.loads for job in jobs))
                self.search.restorer.restore(lost, needed, [*underway.ids, *self._being_written])
                future = self.search.executor.submit(underway.job)
        return []

    def _show(self, finished: Sequence[tuple[Proposal, Result, bool]], asked: Sequence[Proposal]) -> None:
        """Tell the observers the results of a job, and then what was asked for because of them."""
        for observer in self.search.observers:
            for proposal, result, replayed in finished:
                observer.finished(proposal, result, replayed=replayed)
            if asked:
                observer.proposed(asked)


def _groups(proposals: Sequence[Proposal], size: int) -> Iterator[list[Proposal]]:
    """Groups of consecutive proposals that train alike, at most `size` each; a group is trained together.

    Proposals that only re-evaluate become fewer each round, so they are split in two, so that more than one worker has work.
    """
    half = -(-len(proposals) // 2)
    group: list[Proposal] = []
    for proposal in proposals:
        alike = group and _in_common(group[0]) == _in_common(proposal)
        if group and not (alike and len(group) < (size if proposal.trains else min(size, half))):
            yield group
            group = []
        group.append(proposal)
    if group:
        yield group


def _in_common(proposal: Proposal) -> tuple[int, int, int | None]:
    """What must be equal in all proposals of a group."""
    return proposal.units, proposal.generation, proposal.episodes
