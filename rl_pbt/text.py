"""Numbers as people read them, on a terminal, a page or an axis."""

from __future__ import annotations

from typing import Any


def readable(count: float) -> str:
    """1234567 -> "1.23M"."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(count) >= size:
            return f"{count / size:.3g}{letter}"
    return f"{count:.3g}"


def duration(seconds: float) -> str:
    """75 -> "1m15s"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"


def value_text(value: object) -> str:
    if isinstance(value, dict):  # an estimate
        return f"{value['value']:.4g}"
    return "–" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def interval_text(estimate: Any) -> str:
    if estimate is None or estimate["interval"] is None:
        return "–"
    low, high = estimate["interval"]
    return f"{low:.4g} to {high:.4g} ({estimate['unit']})"
