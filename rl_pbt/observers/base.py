"""What the controller tells those who watch a search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rl_pbt.records import FinalTest, Proposal, Result


class Observer(Protocol):
    """Who watches a search: TensorBoard, the live table. Replayed events come too, so a watcher needs no memory on disk."""

    def proposed(self, proposals: Sequence[Proposal]) -> None:
        """The method asked for these, all at once, knowing all results that were told before."""
        ...

    def finished(self, proposal: Proposal, result: Result, *, replayed: bool) -> None:
        """One of them has its result; `replayed` where the ledger had it already."""
        ...

    def incumbent_tested(self, test: FinalTest, units: int) -> None:
        """The member that led when the population had spent so many units was tested, after the end."""
        ...

    def tested(self, test: FinalTest) -> None:
        """The winner was tested: the last event, which a search without a winner does not have."""
        ...
