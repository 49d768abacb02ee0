"""The loop ask -> submit -> record -> tell, and the replay that makes a resumed run the same run.

There is one path, not two: a fresh run and a resumed one both walk `search`. The journal answers from the ledger while it
has recorded events, checks that what is asked for now equals what was asked for then, and appends from there on.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from rl_pbt.executors.base import Executor, IntervalJob, TestJob
from rl_pbt.records import JSON, Proposal, Result, Test, UserError, joined
from rl_pbt.search.base import Method
from rl_pbt.store import Checkpoints, Event, Ledger

TEST_SHARE = 8  # test episodes in one job: all workers have work, whatever their number, which changes no result
Item = TypeVar("Item")


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

    def holds(self, proposal: int) -> bool:
        return proposal in self._results

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
    while proposals := method.ask():
        journal.record([_proposed(proposal) for proposal in proposals])
        for observer in observers:
            observer.proposed(proposals)
        jobs = [
            IntervalJob(
                proposals=tuple(group),
                lineage_frames=tuple(0 if p.parent is None else lineage_frames[p.parent] for p in group),
                root_seed=root_seed,
                checkpoints=checkpoints,
            )
            # Judging again trains nothing, so there is no tensor to share: each alone, and all workers have work.
            for group in _groups(proposals, group_size if proposals[0].trains else 1)
        ]
        for proposal, result, replayed in _outcomes(jobs, executor, journal):
            lineage_frames[result.id] = result.lineage_frames
            method.tell(result)
            for observer in observers:
                observer.finished(proposal, result, replayed=replayed)
        if not journal.replaying:  # what an old generation needs is not all that the newest one needs
            checkpoints.keep_only(method.needed())
    winner = method.winner()
    journal.record([{"event": "chosen", "id": winner}])
    if winner is not None:
        tests = [
            TestJob(id=winner, episodes=episodes, root_seed=root_seed, checkpoints=checkpoints)
            for episodes in _groups(range(test_episodes), TEST_SHARE)
        ]
        test = journal.test(winner, lambda: joined(list(executor.tests(tests))))
        for observer in observers:
            observer.tested(test)
    journal.record([{"event": "ended"}])
    checkpoints.keep_only([] if winner is None else [winner])


def _groups(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _outcomes(jobs: Sequence[IntervalJob], executor: Executor, journal: Journal) -> Iterator[tuple[Proposal, Result, bool]]:
    """Each proposal with its result and whether that was in the ledger. A group of which one result is missing is run again."""
    missing = [job for job in jobs if not all(journal.holds(p.id) for p in job.proposals)]
    fresh = executor.intervals(missing)
    for job in jobs:
        known = {p.id: r for p in job.proposals if (r := journal.known_result(p.id))}
        results = dict(known)
        if len(known) < len(job.proposals):
            results = {r.id: r for r in next(fresh)} | known
            journal.record_results([results[p.id] for p in job.proposals if p.id not in known])
        for proposal in job.proposals:
            yield proposal, results[proposal.id], proposal.id in known


def _proposed(proposal: Proposal) -> dict[str, JSON]:
    return {"event": "proposed", "proposal": proposal.to_json()}
