"""What a person sees during a run: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from statistics import fmean, median
from typing import TextIO, final

from rich.console import Console
from rich.live import Live
from rich.table import Table

from rl_pbt.records import FinalTest, Proposal, Result
from rl_pbt.store.lineage import Lineage
from rl_pbt.tasks.base import Words
from rl_pbt.text import counted, duration, readable, value_text

FIRST_STATUS_S = 15.0  # from the start to the first line that says how far it is
STATUS_EVERY_S = 300.0
TABLE_ROWS = 20
UNSPENT_SHARE = 0.002  # of the budget, that the methods may leave over


@final
class Progress:
    """An observer of all searches of a run, one after another; `total_units` is the budget of all together.

    `underway` tells the units of intervals that have not ended, so that the time left is known from the first seconds.
    """

    def __init__(self, total_units: int, stream: TextIO, underway: Callable[[], int] = lambda: 0, *, words: Words) -> None:
        self._console = Console(file=stream, highlight=False)
        self._total = total_units
        self._underway = underway
        self._words = words
        self._closed = threading.Event()
        self._first_units: tuple[float, int] | None = None  # when units were first seen underway, and how many
        self._spent = 0
        self._spent_here = 0  # without what a resumed run found in its ledgers
        self._started = time.monotonic()
        self._title = ""
        self._rows: dict[int, tuple[Proposal, Result | None]] = {}
        self._before: dict[int, Proposal] = {}
        self._lineage = Lineage()  # of all proposals of this search
        self._newest: set[int] = set()  # proposals that were asked for last
        self._untold: set[int] = set()  # proposals underway
        self._told = 0  # results since the last line
        self._results = 0  # of this search
        self._width = 0  # proposals of the first time that was asked
        self._live: Live | None = None
        self._status: threading.Thread | None = None

    def begin(self, title: str) -> None:
        """A new search starts."""
        self._title = title
        self._rows, self._before, self._lineage = {}, {}, Lineage()
        self._newest, self._untold, self._told, self._results, self._width = set(), set(), 0, 0, 0
        if self._console.is_terminal and self._live is None:
            self._live = Live(console=self._console, refresh_per_second=4, get_renderable=self._table)
            self._live.start()
        elif not self._console.is_terminal and self._status is None:
            self._status = threading.Thread(target=self._say_at_times, daemon=True)
            self._status.start()

    def _say_at_times(self) -> None:
        """Between the lines of whole generations, which may be far apart: soon after the start, then now and then."""
        due = self._started + FIRST_STATUS_S
        while not self._closed.wait(FIRST_STATUS_S / 15):
            self._pace()
            if time.monotonic() >= due:
                self.say(f"{self._title}: {self._used()}")
                due += STATUS_EVERY_S

    def say(self, line: str) -> None:
        """Print a line, above the table where there is one."""
        self._console.print(line, soft_wrap=True, markup=False)

    def proposed(self, proposals: Sequence[Proposal]) -> None:
        """These rows of the table are underway."""
        self._newest = {proposal.id for proposal in proposals}
        self._untold |= self._newest
        self._width = self._width or len(proposals)
        for proposal in proposals:
            if proposal.member in self._rows:
                self._before[proposal.member] = self._rows[proposal.member][0]
            self._lineage.add(proposal)
            self._rows[proposal.member] = (proposal, None)

    def finished(self, proposal: Proposal, result: Result, *, replayed: bool) -> None:
        """A row has its fitness; without a table, a line for as many results as the method asked for at first."""
        self._rows[proposal.member] = (proposal, result)
        self._spent += result.cost.units
        self._spent_here += 0 if replayed else result.cost.units
        self._untold.discard(proposal.id)
        self._told += 1
        self._results += 1
        enough = self._told >= self._width and proposal.trains
        if self._live is None and not replayed and (enough or not self._untold):
            self.say(self._line())
            self._told = 0

    def tested(self, test: FinalTest) -> None:
        """A line with the winner's mean test score, and what is left out of it."""
        assert test.proposal is not None, "a winner is tested here, and no baseline"
        told = [f"winner member {self._lineage[test.proposal].member}"]
        if test.returns:
            over = counted(len(test.returns), self._words.episode, self._words.episodes)
            told += [f"test {self._words.score} {fmean(test.returns):.2f} ({over})"]
        if test.excluded:
            told += [f"{counted(test.excluded, self._words.episode, self._words.episodes)} without a score: {test.failure}"]
        self.say(f"{self._title}: {', '.join(told)}")

    def close(self) -> None:
        """Leave the terminal as it is."""
        self._closed.set()
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _left(self) -> str:
        elapsed = time.monotonic() - self._started
        pace = self._pace()
        if pace is None:
            return f"{duration(elapsed)} elapsed"
        units = max(0, self._total - self._spent - self._underway())
        if units < UNSPENT_SHARE * self._total:  # nothing left to train, but the winner has yet to be tested
            return f"{duration(elapsed)} elapsed, testing the winner"
        remaining = units / pace
        return f"{duration(elapsed)} elapsed, about {duration(remaining)} left"

    def _pace(self) -> float | None:
        """Units per second. In the first interval, since its first units: what the members train on took a while to make."""
        now, underway = time.monotonic(), self._underway()
        if self._spent_here:
            return (self._spent_here + underway) / (now - self._started)
        if not underway:
            return None
        if self._first_units is None:
            self._first_units = (now, underway)
        since, units = self._first_units
        return (underway - units) / (now - since) if underway > units else None

    def _used(self) -> str:
        spent = self._spent + self._underway()
        share = min(100.0, 100 * spent / self._total)
        return f"{share:.0f}% of the budget ({readable(spent)} {self._words.short_units}), {self._left()}"

    def _line(self) -> str:
        rows = sorted(self._rows.items())
        if again := [f"member {m} {_plain(r)}" for m, (p, r) in rows if p.id in self._newest and not p.trains]:
            return f"{self._title} final re-evaluation: {', '.join(again)}; {self._used()}"
        generation = max(proposal.generation for _, (proposal, result) in rows if result is not None)
        fitness = [r.fitness for _, (_, r) in rows if r is not None and r.fitness is not None]
        copied = [f"{m}<-{donor}" for m, (p, _) in rows if p.generation == generation and (donor := self._donor(p))]
        judged = f"best {max(fitness):.2f}, median {median(fitness):.2f}" if fitness else "all failed"
        copies = f"; copied {' '.join(copied)}" if copied else ""
        # A method that does not wait for all members has no generations to count.
        in_step = 1 < len(rows) == len(self._newest)
        place = f"generation {generation + 1}" if in_step else f"interval {self._results}, {counted(len(rows), 'member')}"
        return f"{self._title} {place}: {judged}{copies if in_step else ''}; {self._used()}"

    def _donor(self, proposal: Proposal) -> str:
        """The other member that was copied, if any."""
        donor = self._lineage.donor(proposal)
        return "" if donor is None else str(donor.member)

    def _table(self) -> Table:
        names = list(next(iter(self._rows.values()))[0].hypers) if self._rows else []
        hidden = len(self._rows) - TABLE_ROWS
        title = f"{self._title} ({hidden} more members)" if hidden > 0 else self._title
        table = Table(title=title, caption=self._used(), title_justify="left", caption_justify="left")
        for heading in ("member", "from", "fitness", *names):
            table.add_column(heading, justify="right")
        for member, (proposal, result) in self._shown():
            table.add_row(str(member), self._donor(proposal), _fitness_text(result), *self._hyper_cells(member, proposal))
        return table

    def _shown(self) -> list[tuple[int, tuple[Proposal, Result | None]]]:
        """By member; of more than a screen holds, those that train and then the best."""

        def least_wanted(row: tuple[int, tuple[Proposal, Result | None]]) -> tuple[bool, float]:
            result = row[1][1]
            return (True, -result.rank_key) if result is not None else (False, 0.0)

        return sorted(sorted(self._rows.items(), key=least_wanted)[:TABLE_ROWS])

    def _hyper_cells(self, member: int, proposal: Proposal) -> list[str]:
        """Current values; those that changed in this generation stand out."""
        before = self._before.get(member)
        return [
            f"[bold yellow]{value_text(value)}[/]" if before and before.hypers[name] != value else value_text(value)
            for name, value in proposal.hypers.items()
        ]


def _fitness_text(result: Result | None) -> str:
    """In a cell of the table, with its markup."""
    if result is None:
        return "[dim]training[/]"
    return f"[red]{_plain(result)}[/]" if result.fitness is None else _plain(result)


def _plain(result: Result | None) -> str:
    return "failed" if result is None or result.fitness is None else f"{result.fitness:.2f}"
