"""What the controller tells the observers of a search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TextIO, TypeAlias

from rl_pbt.observers.standing import Outline
from rl_pbt.records import FinalTest, Proposal, Result


class Observer(Protocol):
    """Watches a search, as TensorBoard and the live table do. Replayed events come too, so an observer needs no state on disk."""

    def proposed(self, proposals: Sequence[Proposal]) -> None:
        """The method asked for these, all at once, knowing all results told before."""
        ...

    def finished(self, proposal: Proposal, result: Result, *, replayed: bool) -> None:
        """One of them has its result; `replayed` if it was in the ledger already."""
        ...

    def incumbent_tested(self, test: FinalTest, units: int) -> None:
        """The member that led when the population had spent that many units was tested, after the search."""
        ...

    def tested(self, test: FinalTest) -> None:
        """The winner was tested: the last event; a search without a winner does not have it."""
        ...


class Watcher(Protocol):
    """Shows all searches of a run, several of which may be under way at once, to a person."""

    def begin(self, method: str, seed: int) -> Observer:
        """A new search starts. Returns its observer."""
        ...

    def say(self, line: str) -> None:
        """Show a line about something besides the searches."""
        ...

    def close(self) -> None:
        """The last search has ended, or the run was interrupted."""
        ...


# Makes a watcher from an outline, the stream that it writes to, and a function that returns the units underway.
MakeWatcher: TypeAlias = Callable[[Outline, TextIO, Callable[[], int]], Watcher]
