"""One line for a whole run that is one of many: its progress, and the test scores of its methods so far."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TextIO, final

from rich.console import Console
from rich.live import Live
from rich.text import Text

from rl_pbt.observers.screen import time_told
from rl_pbt.observers.standing import Following, Outline, RunStanding
from rl_pbt.text import fitted, score_text


@final
class CellLine:
    """Updates one line of a terminal, which begins with `title`, while the searches of a run go on.

    Where the output is not a terminal, it shows no progress.
    """

    def __init__(self, title: str, outline: Outline, stream: TextIO, underway: Callable[[], int] = lambda: 0) -> None:
        self._console = Console(file=stream, highlight=False, force_jupyter=False)
        self._title = title
        self._run = RunStanding(outline, underway)
        self._lock = threading.RLock()  # another thread draws the line
        self._live: Live | None = None

    def begin(self, method: str, seed: int) -> Following:
        """A new search starts. Returns its observer."""
        search = Following(self._run, method, seed, self._lock)
        if self._console.is_terminal and not self._console.is_dumb_terminal and self._live is None:
            self._live = Live(console=self._console, refresh_per_second=2, get_renderable=self._line, transient=True)
            self._live.start()
        return search

    def _line(self) -> Text:
        with self._lock:
            return Text(fitted(self._parts(), self._console.width), no_wrap=True, overflow="ellipsis")

    @property
    def line(self) -> str:
        """The current text of the line, however long it is."""
        return "  ".join(self._parts())

    def _parts(self) -> list[str]:
        run, outline = self._run, self._run.outline
        share = 100 * run.spent / outline.total
        tested = ((method, run.tested(method)) for method in outline.methods)
        scores = [f"{method} {score_text(mean)}" for method, mean in tested if mean is not None]
        return [f"{self._title}  {share:.0f}%", run.search.title, time_told(run), *scores]

    def say(self, line: str) -> None:
        """Print a message above the line."""
        self._console.print(line, soft_wrap=True, markup=False)

    def close(self) -> None:
        """Stop updating the terminal."""
        if self._live is not None:
            self._live.stop()
            self._live = None
