"""Recomputing lost checkpoints: an interval is a pure function of its job, and the ledger has every job.

A group is trained again as a whole, because which members share a tensor may change the last digits. Its results are ignored, and
only the wanted checkpoints are kept, each only if its digest equals the recorded one. Missing parents are recomputed first, in
the worst case all the way from the founders. The cost is shown to the user, and is not charged to any budget.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import final

from rl_pbt.errors import LostCheckpoint
from rl_pbt.executors.base import Executor, run_all
from rl_pbt.records import Result
from rl_pbt.tasks.base import IntervalJob
from rl_pbt.tasks.checkpoints import Checkpoints, Sealed
from rl_pbt.text import counted


@final
@dataclass(slots=True, kw_only=True)
class Restorer:
    """The job of every interval of a search, and the digest of each checkpoint. `units` counts the units that were retrained."""

    executor: Executor
    checkpoints: Checkpoints
    say: Callable[[str], None]
    jobs: dict[int, IntervalJob] = field(default_factory=dict)  # by proposal
    digests: dict[int, str | None] = field(default_factory=dict)  # by proposal, of its checkpoint
    units: int = 0
    _restored: set[int] = field(default_factory=set)

    def note(self, job: IntervalJob, results: Iterable[Result]) -> None:
        """Take note of a job and its results."""
        for result in results:
            self.jobs[result.proposal] = job
            self.digests[result.proposal] = result.digest

    def restore(self, lost: LostCheckpoint, needed: Iterable[int], being_written: Iterable[int] = ()) -> None:
        """Recompute the lost checkpoint, and all others that are `needed` and missing.

        All other checkpoints are deleted, except those `being_written` by jobs. Raises LostCheckpoint if the ledger has no digest
        of it (an older version), or if a checkpoint is lost for the second time; and UserError if this machine computes other
        digits.
        """
        needed, being_written = {*needed, lost.proposal}, list(being_written)
        wanted = {proposal for proposal in needed if not self._is_there(proposal)}
        if wanted & self._restored:
            raise lost
        waves = self._waves(wanted)
        if any(self.digests.get(proposal) is None for _, proposals in waves for proposal in proposals):
            raise lost
        self._restored |= wanted
        cost = sum(proposal.units for job, _ in waves for proposal in job.proposals)
        self.say(
            f"{counted(len(wanted), 'checkpoint')} lost ({lost.what}): computed again in {counted(len(waves), 'job')}, "
            f"for {cost:,} units beside the budget"
        )
        while waves:
            ready = [(job, proposals) for job, proposals in waves if not self._waits(job, waves)]
            waves = [wave for wave in waves if wave not in ready]
            run_all(self.executor, [self._again(job, proposals) for job, proposals in ready])
            self.units += sum(proposal.units for job, _ in ready for proposal in job.proposals)
            parents = [parent for job, _ in waves for parent in job.loads]
            self.checkpoints.keep_only(needed.union(parents), being_written=being_written)

    def _is_there(self, proposal: int) -> bool:
        try:
            Sealed(self.checkpoints, self.digests).load(proposal)
        except LostCheckpoint:
            return False
        return True

    def _waves(self, wanted: Iterable[int]) -> list[tuple[IntervalJob, frozenset[int]]]:
        """The jobs that must be run again, each with the proposals whose checkpoints are wanted from it."""
        found: dict[int, set[int]] = {}  # by the job's first proposal
        looked_at: set[int] = set()
        unknown = list(wanted)
        while unknown:
            proposal = unknown.pop()
            if proposal in looked_at:
                continue
            looked_at.add(proposal)
            job = self.jobs[proposal]
            found.setdefault(job.proposals[0].id, set()).add(proposal)
            unknown += [parent for parent in job.loads - looked_at if not self._is_there(parent)]
        return [(self.jobs[first], frozenset(found[first])) for first in sorted(found)]

    @staticmethod
    def _waits(job: IntervalJob, waves: Iterable[tuple[IntervalJob, frozenset[int]]]) -> bool:
        """Whether a parent of one of its proposals still has to be recomputed."""
        missing = {proposal for _, proposals in waves for proposal in proposals}
        return not job.loads.isdisjoint(missing)

    def _again(self, job: IntervalJob, proposals: Iterable[int]) -> IntervalJob:
        digests = {parent: self.digests.get(parent) for parent in job.loads}
        return replace(job, digests=digests, restoring={proposal: self.digests[proposal] for proposal in proposals})
