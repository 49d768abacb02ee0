"""What the controller tells those who watch a search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TextIO, TypeAlias

from rl_pbt.observers.standing import Outline
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


class Watcher(Observer, Protocol):
    """An observer of all searches of a run, one after another, which a person looks at."""

    def begin(self, method: str, seed: int) -> None:
        """A new search starts."""
        ...

    def say(self, line: str) -> None:
        """Tell of what happens beside the searches."""
        ...

    def close(self) -> None:
        """The last search has ended, or the run was interrupted."""
        ...


# What makes one of an outline, of where it writes, and of what tells the units underway.
MakeWatcher: TypeAlias = Callable[[Outline, TextIO, Callable[[], int]], Watcher]
