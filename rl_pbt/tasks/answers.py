"""What code of the user's gives back, checked, and how it fails, in one line."""

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
    """A member failed, for the reason in the message, one line; the run continues."""


@contextmanager
def blamed(method: str) -> Iterator[None]:
    """Within, whatever is raised is the member's failure; only a KeyboardInterrupt passes."""
    try:
        yield
    except Failed:
        raise
    except (Exception, SystemExit) as error:
        raise Failed(f"{method} raised {described(error)}") from error


def described(error: BaseException) -> str:
    """Type and message of an error, and the last line of the user's own code that it came through; one line.

    The same on every machine: files are named without their folder, and objects without their address.
    """
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not Path(frame.filename).is_relative_to(_HERE)]
    own = [frame for frame in frames if not frame.filename.startswith(("<frozen", *_LIBRARIES))]
    message = one_line(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
    if not (own or frames):
        return message
    last = (own or frames)[-1]
    return f"{message} ({Path(last.filename).name}, line {last.lineno}: {one_line(last.line or '', 120)})"


def one_line(text: str, longest: int = LONGEST_REASON) -> str:
    """Without line ends and addresses in memory, and not longer than that."""
    text = " ".join(re.sub(r" at 0x[0-9a-fA-F]+", "", text).split())
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def scores_of(returned: object, giver: str) -> tuple[float, ...]:
    """One score or several, finite. Raises Failed, which names the `giver`, for anything else."""
    values: list[object] = [returned]
    if isinstance(returned, str | bytes | Mapping):
        values = []
    elif isinstance(returned, Iterable):
        with suppress(TypeError):  # an array without axes says that it can be iterated over, and cannot
            values = list(returned)
    scores = [score for value in values if (score := _number(value)) is not None]
    if not values or len(scores) < len(values):
        raise Failed(f"{giver} gave {one_line(repr(returned), 80)}: it must give a number, the score, or several")
    if not all(map(is_score, scores)):
        raise Failed(f"{giver} gave a score that is not finite")
    return tuple(scores)


def metrics_of(returned: object, giver: str) -> dict[str, float]:
    """Finite scalars for the learning curves, by name; none for None. Raises Failed for anything else."""
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
    """The number that a value is, an array or a tensor without axes included; None where it is not one."""
    if not isinstance(value, SupportsFloat) or getattr(value, "shape", ()) != ():
        return None
    try:
        return float(value)
    except (ValueError, TypeError, OverflowError):
        return None
