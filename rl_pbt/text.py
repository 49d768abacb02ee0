"""Numbers and tables in a readable form, for a terminal, a page or an axis."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rl_pbt.errors import plain_text
from rl_pbt.records import Hyper

NOTHING = "–"  # in a cell that has no value
LONGEST_VALUE = 200  # characters
TRAINING_EPISODES = "training episodes"  # what curves are made of for a method that is evaluated only at the end


def readable(count: float) -> str:
    """1234567 -> "1.23M"."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(count) >= size:
            return f"{count / size:.3g}{letter}"
    return f"{count:.3g}"


def shown(path: Path) -> str:
    """A path as a user would type it here: relative to the current folder if it lies in it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path != here and path.is_relative_to(here) else str(path)


def duration(seconds: float) -> str:
    """75 -> "1m15s"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"


def counted(number: int, noun: str, nouns: str | None = None) -> str:
    """(2, "seed") -> "2 seeds"; `nouns` is the plural if it is not the noun with an s."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def listed(names: Sequence[str]) -> str:
    """["a", "b", "c"] -> "a, b and c"."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def fitted(parts: Sequence[str], room: int) -> str:
    """As many of the parts as fit into so many columns, from the first on: a number that is cut would be another number."""
    fitting = (line for count in range(len(parts), 1, -1) if len(line := "  ".join(parts[:count])) <= room)
    return next(fitting, parts[0])


def value_text(value: Hyper | None) -> str:
    """A number to four digits, a word on one line, a dash for none."""
    return NOTHING if value is None else f"{value:.4g}" if isinstance(value, float) else plain_text(str(value), LONGEST_VALUE)


def score_text(score: float, *, sign: bool = False) -> str:
    """A fitness or a return: 500, 20.78, 12,346; with its `sign`, +3.1."""
    form = ",.0f" if 1000 <= abs(score) < 1e9 else ".4g"
    return format(score, f"{'+' if sign else ''}{form}")


def told_apart(number: float, limit: float, form: str, digits: int) -> str:
    """The number in a format such as "%", with `digits`, or as many more as it takes not to look like the limit."""
    while number != limit and f"{number:.{digits}{form}}" == f"{limit:.{digits}{form}}":
        digits += 1
    return f"{number:.{digits}{form}}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, ending with a line break; a vertical bar inside a cell is escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(map(_cell, cells)) + " |\n" for cells in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").splitlines())
