"""Checks what the user's code returns, and describes in one line how it failed."""

from __future__ import annotations

import math
import re
import sysconfig
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import SupportsFloat

from rl_pbt.records import is_score

LONGEST_REASON = 500  # characters of a reason
_HERE = Path(__file__).parents[1]
_LIBRARIES = tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))


class Failed(Exception):
    """A member failed, for the reason in the one-line message; the run continues."""


@contextmanager
def blamed(method: str) -> Iterator[None]:
    """Within it, whatever `method` raises, SystemExit included, becomes the member's failure; a KeyboardInterrupt passes."""
    try:
        yield
    except Failed:
        raise
    except (Exception, SystemExit) as error:
        raise Failed(f"{method} raised {described(error)}") from error


def described(error: BaseException) -> str:
    """One line: the type and message of an error, and the last line of the user's own code in its traceback.

    It is the same on every machine: files are named without their folder, and objects without their address.
    """
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not Path(frame.filename).is_relative_to(_HERE)]
    own = [frame for frame in frames if not frame.filename.startswith(("<frozen", *_LIBRARIES))]
    message = one_line(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
    if not (own or frames):
        return message
    last = (own or frames)[-1]
    return f"{message} ({Path(last.filename).name}, line {last.lineno}: {one_line(last.line or '', 120)})"


def one_line(text: str, longest: int = LONGEST_REASON) -> str:
    """`text` without line breaks and memory addresses, cut to `longest` characters."""
    text = " ".join(re.sub(r" at 0x[0-9a-fA-F]+", "", text).split())
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def scores_of(returned: object, giver: str) -> tuple[float, ...]:
    """The one or several finite scores that `giver` returned. Raises Failed, which names the `giver`, for anything else."""
    values: list[object] = [returned]
    if isinstance(returned, str | bytes | Mapping):
        values = []
    elif isinstance(returned, Iterable):
        with suppress(TypeError):  # a zero-dimensional array claims to be iterable, but is not
            values = list(returned)
    scores = [score for value in values if (score := _number(value)) is not None]
    if not values or len(scores) < len(values):
        raise Failed(f"{giver} gave {one_line(repr(returned), 80)}: it must give a number, the score, or several")
    if not all(map(is_score, scores)):
        raise Failed(f"{giver} gave a score that is not finite")
    return tuple(scores)


def metrics_of(returned: object, giver: str) -> dict[str, float]:
    """Finite numbers for the learning curves, by name (`train/NAME` unless it has a slash); others are dropped, None gives none.

    Raises Failed, which names the `giver`, for anything but numbers by name.
    """
    if returned is None:
        return {}
    if not isinstance(returned, Mapping):
        raise Failed(f"{giver} gave {one_line(repr(returned), 80)}: it may give numbers by name, the metrics, or None")
    metrics = {}
    for name, found in returned.items():
        value = _number(found)
        if not isinstance(name, str) or value is None:
            raise Failed(f"{giver} gave the metric {name!r}: {one_line(repr(found), 80)}: a metric is a number with a name")
        metrics[name if "/" in name else f"train/{name}"] = value
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def _number(value: object) -> float | None:
    """A value as a float, zero-dimensional arrays and tensors included; None if it is not a number."""
    if not isinstance(value, SupportsFloat) or getattr(value, "shape", ()) != ():
        return None
    try:
        return float(value)
    except (ValueError, TypeError, OverflowError):
        return None
