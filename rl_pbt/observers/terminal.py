"""What a person sees during a run: a live screen on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import TextIO, final

from rich.console import Console, RenderableType
from rich.live import Live
from rich.segment import SegmentLines

from rl_pbt.observers.screen import Screen, time_told
from rl_pbt.observers.standing import Following, Outline, RunStanding
from rl_pbt.records import FinalTest, Proposal, Result
from rl_pbt.text import TRAINING_EPISODES, counted, readable, score_text

FIRST_STATUS_S = 15.0  # seconds from the start to the first progress line
STATUS_EVERY_S = 300.0


@final
class Progress:
    """Shows the searches of a run: on a terminal as a screen, elsewhere as lines.

    `underway` returns the units of intervals that have not ended, so that the time left is known from the first seconds on.
    """

    def __init__(self, outline: Outline, stream: TextIO, underway: Callable[[], int] = lambda: 0) -> None:
        self._console = Console(file=stream, highlight=False, force_jupyter=False)
        self._run = RunStanding(outline, underway)
        self._lock = threading.RLock()  # another thread draws the screen
        self._closed = threading.Event()
        self._live: Live | None = None
        self._status: threading.Thread | None = None

    @property
    def _has_screen(self) -> bool:
        return self._console.is_terminal and not self._console.is_dumb_terminal

    def begin(self, method: str, seed: int) -> SearchLines:
        """A new search starts. Returns its observer."""
        search = Following(self._run, method, seed, self._lock)
        if self._has_screen and self._live is None:
            self._live = Live(console=self._console, refresh_per_second=4, get_renderable=self._screen, transient=True)
            self._live.start()
        elif not self._has_screen and self._status is None:
            self._status = threading.Thread(target=self._say_at_times, daemon=True)
            self._status.start()
        return SearchLines(self._run, search, self.say, winners_only=self._has_screen)

    def _screen(self) -> RenderableType:
        """The screen, rendered here, under the lock, and not later by rich, when the state may change meanwhile."""
        with self._lock:
            return SegmentLines(self._console.render_lines(Screen(self._run), pad=False), new_lines=True)

    def _say_at_times(self) -> None:
        """Print progress between the lines of generations, which may be far apart: soon after the start, then at intervals."""
        due = self._run.started + FIRST_STATUS_S
        while not self._closed.wait(FIRST_STATUS_S / 15):
            self._run.pace()
            if self._run.elapsed_s >= due - self._run.started:
                self.say(f"{self._run.search.title}: {used_told(self._run)}")
                due += STATUS_EVERY_S

    def say(self, line: str) -> None:
        """Print a line, above the screen where there is one."""
        self._console.print(line, soft_wrap=True, markup=False)

    def close(self) -> None:
        """Stop updating the terminal."""
        self._closed.set()
        if self._live is not None:
            self._live.stop()
            self._live = None


def used_told(run: RunStanding) -> str:
    """How much of the budget is spent, and the time elapsed and left."""
    share = 100 * run.spent / run.outline.total
    return f"{share:.0f}% of the budget ({readable(run.spent)} {run.outline.words.short_units}), {time_told(run)}"


@final
class SearchLines:
    """The observer of one search that prints its lines: its generations, unless `winners_only`, and its winner."""

    def __init__(self, run: RunStanding, following: Following, say: Callable[[str], None], *, winners_only: bool) -> None:
        self._run, self._following, self._search = run, following, following.search
        self._say = say
        self._winners_only = winners_only
        self._told = 0  # results since the last line
        self._width = 0  # number of proposals that the method asked for first
        self._reevaluated: set[int] = set()  # members in the last line of a re-evaluation

    def proposed(self, proposals: Sequence[Proposal]) -> None:
        """These are underway."""
        self._following.proposed(proposals)
        self._width = self._width or len(proposals)

    def finished(self, proposal: Proposal, result: Result, *, replayed: bool) -> None:
        """A member has its result: print a line for every so many results as the method asked for first.

        Of final re-evaluations, which may be dozens, a line is printed only for the first one of the same members.
        """
        self._following.finished(proposal, result, replayed=replayed)
        self._told += 1
        enough = self._told >= self._width and proposal.trains
        if not self._winners_only and not replayed and (enough or not self._search.underway):
            search = self._search
            again = {search.lineage[id_].member for id_ in search.asked_last} if search.is_reevaluating else set()
            if not again or again != self._reevaluated:
                self._say(self._line())
            self._told, self._reevaluated = 0, again

    def incumbent_tested(self, test: FinalTest, units: int) -> None:
        """Not shown: it is for the curves."""

    def tested(self, test: FinalTest) -> None:
        """Print a line with the winner's mean test score, and the episodes that are left out of it."""
        assert test.proposal is not None, "a winner is tested here, and no baseline"
        self._following.tested(test)
        words = self._run.outline.words
        told = [f"winner member {self._search.lineage[test.proposal].member}"]
        if test.returns:
            over = counted(len(test.returns), words.episode, words.episodes)
            told += [f"test {words.score} {score_text(fmean(test.returns))} ({over})"]
        if test.excluded:
            told += [f"{counted(test.excluded, words.episode, words.episodes)} without a score: {test.failure}"]
        self._say(f"{self._search.title}: {', '.join(told)}")

    def _line(self) -> str:
        search, used = self._search, used_told(self._run)
        rows = sorted((member, proposal) for member, proposal in search.newest.items())
        if search.is_reevaluating:
            again = [(m, search.fitness_of(p)) for m, p in rows if p.id in search.asked_last]
            told = ", ".join(f"member {m} {'failed' if fitness is None else score_text(fitness)}" for m, fitness in again)
            return f"{search.title} final re-evaluation: {told}; {used}"
        best, median = search.best, search.median
        scores = "not evaluated yet" if search.by_training else "all failed"
        if best is not None and median is not None:
            scores = f"best {score_text(best)}, median {score_text(median)}"
            scores += f" ({TRAINING_EPISODES})" if search.by_training else ""
        generation = search.generation
        copied = [f"{m}<-{donor}" for m, p in rows if (donor := search.donor(p)) is not None] if generation else []
        copies = f"; copied {' '.join(copied)}" if copied else ""
        place = f"interval {search.trained}, {counted(len(rows), 'member')}"
        if generation:
            place = f"generation {generation}/{max(generation, self._run.outline.generations)}"
        return f"{search.title} {place}: {scores}{copies}; {used}"
