"""The loop ask -> submit -> record -> tell, and the replay that makes a resumed run the same run.

There is one path, not two: a fresh run and a resumed one both walk `search`. The journal answers from the ledger while it
has recorded events, checks that what is asked for now equals what was asked for then, and appends from there on.

The method is asked for more after each job, and may ask for work while other work is underway. Outcomes are taken in the order in
which the work was asked for, never in the order in which it ends: a run without a barrier gives the same ledger on any machine
too, at the price that a slow job holds up those behind it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rl_pbt.executors.base import Executor, Outcome, run_all
from rl_pbt.observers.base import Observer
from rl_pbt.records import Proposal, Result, joined
from rl_pbt.search.base import Method
from rl_pbt.store.events import Chosen, Ended, Proposed
from rl_pbt.store.journal import Journal
from rl_pbt.tasks.base import Checkpoints, FinalTestJob, IntervalJob

TEST_EPISODES_PER_JOB = 8  # test episodes in one job: all workers have work, whatever their number, which changes no result


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """One method on one seed, with what it needs to run.

    `group_size` is how many proposals make one job at most, `test_episodes` on how many episodes the winner is tested.
    """

    method: Method
    executor: Executor
    journal: Journal
    checkpoints: Checkpoints
    root_seed: int
    group_size: int
    test_episodes: int
    observers: Sequence[Observer] = ()

    def run(self) -> None:
        """Run the method until it asks for nothing more, test its winner, and leave only the winner's checkpoint."""
        _Loop(search=self).run()
        self._conclude(self.method.winner())

    def _conclude(self, winner: int | None) -> None:
        self.journal.record([Chosen(proposal=winner)])
        if winner is not None:
            test = self.journal.test(winner, lambda: joined(run_all(self.executor, self._shares(winner))))
            for observer in self.observers:
                observer.tested(test)
        self.journal.record([Ended()])
        self.checkpoints.leave_only([] if winner is None else [winner])

    def _shares(self, winner: int) -> list[FinalTestJob]:
        """The final test, cut into jobs."""
        return [
            FinalTestJob(
                proposal=winner,
                episodes=range(start, min(start + TEST_EPISODES_PER_JOB, self.test_episodes)),
                root_seed=self.root_seed,
                checkpoints=self.checkpoints,
            )
            for start in range(0, self.test_episodes, TEST_EPISODES_PER_JOB)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Underway:
    """A job, and its outcome to come; None where the ledger has it."""

    job: IntervalJob
    outcome: Outcome[list[Result]] | None

    @property
    def ids(self) -> list[int]:
        return [proposal.id for proposal in self.job.proposals]


@dataclass(slots=True, kw_only=True)
class _Loop:
    """The state of a search between two results."""

    search: Search
    lineage_units: dict[int, int] = field(default_factory=dict)  # by proposal
    underway: deque[_Underway] = field(default_factory=deque)

    def run(self) -> None:
        method, journal = self.search.method, self.search.journal
        finished: list[tuple[Proposal, Result, bool]] = []
        while True:
            if proposals := method.ask():
                journal.record([Proposed(proposal=proposal) for proposal in proposals])
                self._submit(proposals)
            self._show(finished, proposals)  # last, so that workers need not wait for it
            if not self.underway:
                return
            finished = self._results(self.underway.popleft())
            for _, result, _ in finished:
                self.lineage_units[result.proposal] = result.lineage_units
                method.tell(result)
            if not journal.replaying:  # what an old proposal needs is not all that the newest ones need
                being_written = [proposal for underway in self.underway for proposal in underway.ids]
                self.search.checkpoints.keep_only(method.needed(), being_written=being_written)

    def _submit(self, proposals: Sequence[Proposal]) -> None:
        for group in _groups(proposals, self.search.group_size):
            job = IntervalJob(
                proposals=tuple(group),
                lineage_units=tuple(0 if p.parent is None else self.lineage_units[p.parent] for p in group),
                root_seed=self.search.root_seed,
                checkpoints=self.search.checkpoints,
            )
            known = self.search.journal.holds(proposal.id for proposal in group)
            self.underway.append(_Underway(job=job, outcome=None if known else self.search.executor.submit(job)))

    def _results(self, underway: _Underway) -> list[tuple[Proposal, Result, bool]]:
        """Each proposal with its result and whether that was in the ledger.

        A group of which one result is missing was run again as a whole.
        """
        journal, proposals = self.search.journal, underway.job.proposals
        computed = {} if underway.outcome is None else {result.proposal: result for result in underway.outcome.wait()}
        known = {p.id: result for p in proposals if (result := journal.known_result(p.id))}
        if fresh := [computed[p.id] for p in proposals if p.id not in known]:
            journal.record_results(fresh)
        results = computed | known
        return [(p, results[p.id], p.id in known) for p in proposals]

    def _show(self, finished: Sequence[tuple[Proposal, Result, bool]], asked: Sequence[Proposal]) -> None:
        """The results of a job, and then what was asked for because of them."""
        for observer in self.search.observers:
            for proposal, result, replayed in finished:
                observer.finished(proposal, result, replayed=replayed)
            if asked:
                observer.proposed(asked)


def _groups(proposals: Sequence[Proposal], size: int) -> Iterator[list[Proposal]]:
    """Proposals that are alike in what they cost, `size` at most to a tensor.

    Judging again trains nothing, so there is no tensor to share: each is a job of its own, which gives all workers work.
    """
    group: list[Proposal] = []
    for proposal in proposals:
        alike = group and (group[0].units, group[0].generation) == (proposal.units, proposal.generation)
        if group and not (alike and proposal.trains and len(group) < size):
            yield group
            group = []
        group.append(proposal)
    if group:
        yield group
