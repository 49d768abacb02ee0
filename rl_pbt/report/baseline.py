"""The task's baseline in figures of scores: a line, or if that would flatten the scores, its value at the edge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes

from rl_pbt.report.style import GREY
from rl_pbt.tasks.words import Words

ROOM = 0.08  # share of an axis that is added for a value at its edge
Ends: TypeAlias = tuple[float, float]


def is_far(baseline: float, ends: Ends) -> bool:
    """Whether an axis from one end to the other would become more than twice as long if it reached the baseline."""
    low, high = ends
    return low < high < low + max(low - baseline, baseline - high)


def reached(ends: Ends, scores: Sequence[float]) -> Ends:
    """The ends, widened to the mean of the baseline's `scores` unless that is far or there are none."""
    if not scores or is_far(mean := float(np.mean(scores)), ends):
        return ends
    return min(ends[0], mean), max(ends[1], mean)


def draw_baseline(axes: Axes, scores: Sequence[float], ends: Ends, words: Words) -> None:
    """Draw the mean of the baseline's `scores` beside scores that reach from one end to the other.

    To be called last, since it moves the limit of the axis if the baseline is far away.
    """
    mean = float(np.mean(scores))
    told = f"{words.baseline}: {mean:.4g}"
    if not is_far(mean, ends):
        axes.axhline(mean, color=GREY, linestyle="--", linewidth=1.4, zorder=1, label=told)
        return
    low, high = axes.get_ylim()
    room, across = ROOM * (high - low), axes.get_yaxis_transform()
    below = mean < low
    axes.set_ylim(low - room if below else low, high if below else high + room)
    edge = low - room / 2 if below else high + room / 2
    axes.plot(0.02, edge, "v" if below else "^", color=GREY, markersize=6, transform=across, scalex=False, scaley=False)
    axes.annotate(told, (0.02, edge), (8, 0), xycoords=across, textcoords="offset points", va="center", fontsize=8)
