"""Terminals and log files that know fewer characters than we print: of an old locale, of Windows, of a batch system."""

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
    """What this process prints is printed, with other characters where the stream does not have ours."""
    codecs.register_error(ERRORS, _others)
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":  # what stderr lacks, Python writes as \\u2014
        sys.stdout.reconfigure(errors=ERRORS)


def _others(error: UnicodeError) -> tuple[str | bytes, int]:
    """A handler of `codecs.register_error`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(OTHERS.get(character, "?") for character in error.object[error.start : error.end]), error.end
