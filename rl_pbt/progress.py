"""What a person sees while a run goes on: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import TextIO, final

from rich.console import Console
from rich.live import Live
from rich.table import Table

from rl_pbt.records import Proposal, Result, Test
from rl_pbt.text import duration, readable, value_text

FIRST_WORD_S = 15.0
MURMUR_S = 300.0
MOST_ROWS = 20  # of the table
LAST_PART = 0.002  # of the budget, that the methods may leave over


@final
class Progress:
    """An observer of all searches of a run, one after another; `total_frames` is the budget of all together.

    `underway` tells the frames of intervals that are going on, so that the time left is known from the first seconds.
    """

    def __init__(self, total_frames: int, stream: TextIO, underway: Callable[[], int] = lambda: 0) -> None:
        self._console = Console(file=stream, highlight=False)
        self._total = total_frames
        self._underway = underway
        self._closed = threading.Event()
        self._first_frames: tuple[float, int] | None = None  # when frames were first seen underway, and how many
        self._spent = 0
        self._spent_here = 0  # without what a resumed run found in its ledgers
        self._started = time.monotonic()
        self._title = ""
        self._rows: dict[int, tuple[Proposal, Result | None]] = {}
        self._before: dict[int, Proposal] = {}
        self._members: dict[int, int] = {}  # proposal id -> member
        self._newest: set[int] = set()  # proposals that were asked for last
        self._untold: set[int] = set()  # proposals underway
        self._told = 0  # results since the last line
        self._results = 0  # of this search
        self._width = 0  # proposals of the first time that was asked
        self._live: Live | None = None
        self._murmur: threading.Thread | None = None

    def begin(self, title: str) -> None:
        """A new search starts."""
        self._title = title
        self._rows, self._before, self._members = {}, {}, {}
        self._newest, self._untold, self._told, self._results, self._width = set(), set(), 0, 0, 0
        if self._console.is_terminal and self._live is None:
            self._live = Live(console=self._console, refresh_per_second=4, get_renderable=self._table)
            self._live.start()
        elif not self._console.is_terminal and self._murmur is None:
            self._murmur = threading.Thread(target=self._say_at_times, daemon=True)
            self._murmur.start()

    def _say_at_times(self) -> None:
        """Between the lines of whole generations, which may be far apart: soon after the start, then now and then."""
        due = self._started + FIRST_WORD_S
        while not self._closed.wait(FIRST_WORD_S / 15):
            self._pace()
            if time.monotonic() >= due:
                self.say(f"{self._title}: {self._used()}")
                due += MURMUR_S

    def say(self, line: str) -> None:
        self._console.print(line, soft_wrap=True, markup=False)

    def proposed(self, proposals: Sequence[Proposal]) -> None:
        self._newest = {proposal.id for proposal in proposals}
        self._untold |= self._newest
        self._width = self._width or len(proposals)
        for proposal in proposals:
            if proposal.member in self._rows:
                self._before[proposal.member] = self._rows[proposal.member][0]
            self._members[proposal.id] = proposal.member
            self._rows[proposal.member] = (proposal, None)

    def finished(self, proposal: Proposal, result: Result, *, replayed: bool) -> None:
        self._rows[proposal.member] = (proposal, result)
        self._spent += result.cost.frames
        self._spent_here += 0 if replayed else result.cost.frames
        self._untold.discard(proposal.id)
        self._told += 1
        self._results += 1
        enough = self._told >= self._width and proposal.trains
        if self._live is None and not replayed and (enough or not self._untold):
            self.say(self._line())
            self._told = 0

    def tested(self, test: Test) -> None:
        mean = sum(test.returns) / len(test.returns)
        self.say(f"{self._title}: winner member {self._members[test.id]}, test return {mean:.2f} ({len(test.returns)} episodes)")

    def close(self) -> None:
        self._closed.set()
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _left(self) -> str:
        elapsed = time.monotonic() - self._started
        pace = self._pace()
        if pace is None:
            return f"{duration(elapsed)} gone"
        frames = max(0, self._total - self._spent - self._underway())
        if frames < LAST_PART * self._total:  # nothing left to train, but the winner has yet to play its test episodes
            return f"{duration(elapsed)} gone, testing the winner"
        remaining = frames / pace
        return f"{duration(elapsed)} gone, about {duration(remaining)} left"

    def _pace(self) -> float | None:
        """Frames per second. In the first interval, since its first frames: making the environments took a while."""
        now, underway = time.monotonic(), self._underway()
        if self._spent_here:
            return (self._spent_here + underway) / (now - self._started)
        if not underway:
            return None
        if self._first_frames is None:
            self._first_frames = (now, underway)
        since, frames = self._first_frames
        return (underway - frames) / (now - since) if underway > frames else None

    def _used(self) -> str:
        spent = self._spent + self._underway()
        return f"{min(100.0, 100 * spent / self._total):.0f}% of the budget ({readable(spent)} frames), {self._left()}"

    def _line(self) -> str:
        rows = sorted(self._rows.items())
        if again := [f"member {m} {_fitness_text(r)}" for m, (p, r) in rows if p.id in self._newest and not p.trains]:
            return f"{self._title} play-off: {', '.join(again)}; {self._used()}"
        generation = max(proposal.generation for _, (proposal, result) in rows if result is not None)
        fitness = [r.fitness for _, (_, r) in rows if r is not None and r.fitness is not None]
        copied = [f"{m}<-{donor}" for m, (p, _) in rows if p.generation == generation and (donor := self._donor(p))]
        judged = f"best {max(fitness):.2f}, median {median(fitness):.2f}" if fitness else "all failed"
        copies = f"; copied {' '.join(copied)}" if copied else ""
        # A method that does not wait for all members has no generations to count.
        in_step = 1 < len(rows) == len(self._newest)
        members = f"{len(rows)} member{'s' if len(rows) > 1 else ''}"
        place = f"generation {generation + 1}" if in_step else f"interval {self._results}, {members}"
        return f"{self._title} {place}: {judged}{copies if in_step else ''}; {self._used()}"

    def _donor(self, proposal: Proposal) -> str:
        """The other member that weights or hypers are of, if any."""
        sources = [self._members[id_] for id_ in (proposal.hypers_from, proposal.parent) if id_ is not None]
        return next((str(member) for member in sources if member != proposal.member), "")

    def _table(self) -> Table:
        names = list(next(iter(self._rows.values()))[0].hypers) if self._rows else []
        hidden = len(self._rows) - MOST_ROWS
        title = f"{self._title} ({hidden} more members)" if hidden > 0 else self._title
        table = Table(title=title, caption=self._used(), title_justify="left", caption_justify="left")
        for heading in ("member", "copied", "fitness", *names):
            table.add_column(heading, justify="right")
        for member, (proposal, result) in self._shown():
            table.add_row(str(member), self._donor(proposal), _fitness_text(result), *self._hyper_cells(member, proposal))
        return table

    def _shown(self) -> list[tuple[int, tuple[Proposal, Result | None]]]:
        """By member; of more than a screen holds, those that train and then the best."""

        def least_wanted(row: tuple[int, tuple[Proposal, Result | None]]) -> tuple[bool, float]:
            result = row[1][1]
            return (True, -result.rank_key) if result is not None else (False, 0.0)

        return sorted(sorted(self._rows.items(), key=least_wanted)[:MOST_ROWS])

    def _hyper_cells(self, member: int, proposal: Proposal) -> list[str]:
        """Current values; those that changed in this generation stand out."""
        before = self._before.get(member)
        return [
            f"[bold yellow]{value_text(value)}[/]" if before and before.hypers[name] != value else value_text(value)
            for name, value in proposal.hypers.items()
        ]


def _fitness_text(result: Result | None) -> str:
    if result is None:
        return "[dim]training[/]"
    return "[red]failed[/]" if result.fitness is None else f"{result.fitness:.2f}"
