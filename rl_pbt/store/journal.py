"""The ledger as the loop sees it: recorded events first, then new ones.

Fresh and resumed runs take the same path. While the ledger holds events that the loop has not reached, the journal answers from
them, and checks that what is asked for now equals what was asked for then; from there on it appends.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import final

from rl_pbt.errors import UserError
from rl_pbt.records import FinalTest, Result
from rl_pbt.store.events import Chosen, Ended, Extended, FinalTested, Finished, IncumbentTested, Proposed
from rl_pbt.store.history import Reader
from rl_pbt.store.ledger import Ledger


@final
class Journal:
    """Replays one ledger, then continues it. Raises UserError for a damaged one, or one of another version or run."""

    def __init__(self, ledger: Ledger, clock: Callable[[], float] = time.time) -> None:
        self._ledger = ledger
        self._clock = clock
        self._recorded: deque[Proposed | Chosen | Ended | Extended] = deque()  # what was decided, in order
        self._results: dict[int, Result] = {}  # by proposal
        self._tests: deque[IncumbentTested | FinalTested] = deque()
        reader = Reader()
        for place, event in enumerate(ledger.repair(), start=1):
            try:
                reader.take(event)
            except (KeyError, ValueError) as error:
                raise UserError(f"{ledger.path}, event {place} is damaged ({error}): restore the file from a copy") from None
            match event:
                case Finished(result=result):
                    self._results[result.proposal] = result
                case IncumbentTested() | FinalTested():
                    self._tests.append(event)
                case Proposed() | Chosen() | Ended() | Extended():
                    self._recorded.append(event)

    @property
    def replaying(self) -> bool:
        """Whether the ledger still holds events that the loop has not reached."""
        return bool(self._recorded or self._results or self._tests)

    def record(self, events: Sequence[Proposed | Chosen | Ended | Extended]) -> None:
        """Append the events, or check them against those recorded at this point. Raises UserError if they differ."""
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
        """The recorded result of a proposal, which is returned only once; None if there is none."""
        return self._results.pop(proposal, None)

    def holds(self, proposals: Iterable[int]) -> bool:
        """Whether the ledger has the results of all these proposals."""
        return all(proposal in self._results for proposal in proposals)

    def record_results(self, results: Sequence[Result]) -> None:
        """Append results; durable when this returns."""
        self._ledger.append([Finished(result=result, time=self._clock()) for result in results])

    def test(self, proposal: int, units: int | None, run: Callable[[], FinalTest]) -> FinalTest:
        """The recorded test of this proposal, or else a new one from `run`, which is then recorded.

        It is the final test or, with `units`, the test of the proposal that led when `units` had been spent. Raises UserError if
        another test was recorded at this point.
        """
        if not self._tests:
            test = run()
            self._ledger.append([FinalTested(test=test) if units is None else IncumbentTested(test=test, units=units)])
            return test
        recorded = self._tests.popleft()
        if (recorded.test.proposal, recorded.units if isinstance(recorded, IncumbentTested) else None) != (proposal, units):
            raise UserError(
                f"{self._ledger.path} does not fit this run: it holds a test of proposal {recorded.test.proposal} where one of "
                f"{proposal} is due. It was written by another version or configuration: start a new run in another folder"
            )
        return recorded.test

    @property
    def tests_held(self) -> int:
        """How many recorded tests the loop has not reached."""
        return len(self._tests)
