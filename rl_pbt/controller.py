"""The loop ask -> submit -> record -> tell, and the replay that makes a resumed run the same run.

There is one path, not two: a fresh run and a resumed one both walk `search`. The journal answers from the ledger while it
has recorded events, checks that what is asked for now equals what was asked for then, and appends from there on.

The method is asked for more after each job, and may ask for work while other work is underway. Outcomes are taken in the order in
which the work was asked for, never in the order in which it ends: a run without a barrier gives the same ledger on any machine
too, at the price that a slow job holds up those behind it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from rl_pbt.executors.base import Executor, IntervalJob, TestJob, run_tests
from rl_pbt.records import JSON, Proposal, Result, Test, UserError, joined
from rl_pbt.search.base import Method
from rl_pbt.store import Checkpoints, Event, Ledger

TEST_SHARE = 8  # test episodes in one job: all workers have work, whatever their number, which changes no result


class Observer(Protocol):
    """Who watches a search: TensorBoard, the live table. Replayed events come too, so a watcher needs no memory on disk."""

    def proposed(self, proposals: Sequence[Proposal]) -> None: ...

    def finished(self, proposal: Proposal, result: Result, *, replayed: bool) -> None: ...

    def tested(self, test: Test) -> None: ...


class Journal:
    """The ledger as the loop sees it: recorded events first, then new ones."""

    def __init__(self, ledger: Ledger, clock: Callable[[], float] = time.time) -> None:
        self._ledger = ledger
        self._clock = clock
        recorded = ledger.repair()
        self._recorded = deque(event for event in recorded if event["event"] not in ("finished", "tested"))
        self._results = {r.id: r for r in (Result.from_json(e["result"]) for e in recorded if e["event"] == "finished")}
        self._tests = {t.id: t for t in (Test.from_json(e["test"]) for e in recorded if e["event"] == "tested")}

    @property
    def replaying(self) -> bool:
        """Whether the ledger still holds events that the loop has not come to."""
        return bool(self._recorded or self._results or self._tests)

    def record(self, events: Sequence[Event]) -> None:
        """Append, or check against what was recorded at this point. Raises UserError where they differ."""
        fresh = []
        for event in events:
            if not self._recorded:
                fresh.append(event)
            elif (recorded := self._recorded.popleft()) != event:
                raise UserError(
                    f"{self._ledger.path} does not fit this run: it holds {recorded} where {event} is due. It was written "
                    "by another version or configuration: start a new run in another folder"
                )
        if fresh:
            self._ledger.append(fresh)

    def known_result(self, proposal: int) -> Result | None:
        return self._results.pop(proposal, None)

    def holds(self, job: IntervalJob) -> bool:
        """Whether the ledger has the results of all its proposals."""
        return all(proposal.id in self._results for proposal in job.proposals)

    def record_results(self, results: Sequence[Result]) -> None:
        self._ledger.append([{"event": "finished", "result": r.to_json(), "time": self._clock()} for r in results])

    def test(self, proposal: int, run: Callable[[], Test]) -> Test:
        """The recorded test of this proposal, or a new one, recorded."""
        known = self._tests.pop(proposal, None)
        if known is not None:
            return known
        test = run()
        self._ledger.append([{"event": "tested", "test": test.to_json()}])
        return test


def search(
    method: Method,
    *,
    executor: Executor,
    journal: Journal,
    checkpoints: Checkpoints,
    root_seed: int,
    group_size: int,
    test_episodes: int,
    observers: Sequence[Observer] = (),
) -> None:
    """Run `method` until it asks for nothing more, test its winner, and leave only the winner's checkpoint."""
    lineage_frames: dict[int, int] = {}
    underway: deque[IntervalJob] = deque()
    outcomes: list[tuple[Proposal, Result, bool]] = []
    while True:
        if proposals := method.ask():
            journal.record([_proposed(proposal) for proposal in proposals])
            for group in _groups(proposals, group_size):
                ages = tuple(0 if p.parent is None else lineage_frames[p.parent] for p in group)
                job = IntervalJob(proposals=tuple(group), lineage_frames=ages, root_seed=root_seed, checkpoints=checkpoints)
                underway.append(job)
                if not journal.holds(job):
                    executor.submit(job)
        _tell(observers, outcomes, proposals)  # last: workers need not wait for it
        if not underway:
            break
        outcomes = _outcomes(underway.popleft(), executor, journal)
        for _, result, _ in outcomes:
            lineage_frames[result.id] = result.lineage_frames
            method.tell(result)
        if not journal.replaying:  # what an old proposal needs is not all that the newest ones need
            checkpoints.keep_only(method.needed(), being_written=[p.id for job in underway for p in job.proposals])
    _conclude(method.winner(), executor, journal, checkpoints, root_seed, test_episodes, observers)


def _tell(observers: Sequence[Observer], outcomes: Sequence[tuple[Proposal, Result, bool]], asked: Sequence[Proposal]) -> None:
    """What came of a job, and then what was asked for thereupon."""
    for observer in observers:
        for proposal, result, replayed in outcomes:
            observer.finished(proposal, result, replayed=replayed)
        if asked:
            observer.proposed(asked)


def _conclude(
    winner: int | None,
    executor: Executor,
    journal: Journal,
    checkpoints: Checkpoints,
    root_seed: int,
    test_episodes: int,
    observers: Sequence[Observer],
) -> None:
    journal.record([{"event": "chosen", "id": winner}])
    if winner is not None:
        tests = [
            TestJob(
                id=winner,
                episodes=range(start, min(start + TEST_SHARE, test_episodes)),
                root_seed=root_seed,
                checkpoints=checkpoints,
            )
            for start in range(0, test_episodes, TEST_SHARE)
        ]
        test = journal.test(winner, lambda: joined(list(run_tests(executor, tests))))
        for observer in observers:
            observer.tested(test)
    journal.record([{"event": "ended"}])
    checkpoints.leave_only([] if winner is None else [winner])


def _groups(proposals: Sequence[Proposal], size: int) -> Iterator[list[Proposal]]:
    """Proposals that are alike in what they cost, `size` at most to a tensor.

    Judging again trains nothing, so there is no tensor to share: each alone, and all workers have work.
    """
    group: list[Proposal] = []
    for proposal in proposals:
        alike = group and (group[0].frames, group[0].generation) == (proposal.frames, proposal.generation)
        if group and not (alike and proposal.trains and len(group) < size):
            yield group
            group = []
        group.append(proposal)
    if group:
        yield group


def _outcomes(job: IntervalJob, executor: Executor, journal: Journal) -> list[tuple[Proposal, Result, bool]]:
    """Each proposal with its result and whether that was in the ledger. A group of which one result is missing is run again."""
    results: dict[int, Result] = {}
    if not journal.holds(job):
        outcome = executor.collect()
        assert isinstance(outcome, list)
        results = {result.id: result for result in outcome}
    known = {p.id: result for p in job.proposals if (result := journal.known_result(p.id))}
    if fresh := [results[p.id] for p in job.proposals if p.id not in known]:
        journal.record_results(fresh)
    results |= known
    return [(p, results[p.id], p.id in known) for p in job.proposals]


def _proposed(proposal: Proposal) -> dict[str, JSON]:
    return {"event": "proposed", "proposal": proposal.to_json()}
