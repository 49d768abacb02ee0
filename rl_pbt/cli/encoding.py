"""Output to terminals and log files that lack some of our characters: with an old locale, on Windows, in a batch system."""

from __future__ import annotations

import codecs
import sys
from io import TextIOWrapper

ERRORS = "rl_pbt.other_characters"
OTHERS = {
    "·": "-", "×": "x", "–": "-", "—": "-", "…": "...", "→": "->", "▸": ">", "★": "*",
    "━": "=", "╸": "=", "╺": "=", "─": "-", "█": "#", "•": "-",
}  # fmt: skip


def print_anywhere() -> None:
    """Make printing never fail in this process: characters that standard output cannot encode are replaced by similar ones."""
    codecs.register_error(ERRORS, _others)
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":  # for stderr, Python itself writes \\u2014
        sys.stdout.reconfigure(errors=ERRORS)


def _others(error: UnicodeError) -> tuple[str | bytes, int]:
    """A handler for `codecs.register_error`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(OTHERS.get(character, "?") for character in error.object[error.start : error.end]), error.end
