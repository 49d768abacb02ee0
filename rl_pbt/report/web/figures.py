"""How the figures of the page look and behave. The colours of axes come from `page.css`, by theme."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

from rl_pbt.arrays import Array
from rl_pbt.errors import plain_text
from rl_pbt.records import Trial
from rl_pbt.report.style import GREY, LONGEST_LABEL

if TYPE_CHECKING:
    from bokeh.models import GlyphRenderer, HoverTool, LinearAxis, LogAxis
    from bokeh.plotting import figure

Column: TypeAlias = Array | list[str]

WINNER = "#e08600"  # legible on white and on black
DASHES = [5, 4]
MARGIN = 6  # pixels
LARGEST_SHORT, LARGEST_SINGLE = 32_767, 1e37  # the largest numbers that are stored in two and in four bytes
MOST_IN_MOTION = 2000  # nodes of a kind; if there are more, a tenth is drawn while a figure is moved
NUMBER = "{%.4g}"  # in a tooltip


def label(text: str) -> str:
    """Any text as a label on one line."""
    return plain_text(text, LONGEST_LABEL)


def score_of(trial: Trial) -> float:
    """The score for a tooltip; NaN, shown as such, if the trial was not evaluated and no training episode ended in it."""
    return math.nan if trial.result.score is None else trial.result.score


def empty_figure(height: int, *, y_type: str = "linear", tools: Sequence[str] = ("pan", "box_zoom", "reset")) -> figure:
    """An empty figure, as wide as there is room. Dragging and scrolling move the page until a tool is chosen."""
    from bokeh.plotting import figure  # noqa: PLC0415 - takes a while, and is needed for this page alone

    made = figure(
        height=height,
        sizing_mode="stretch_width",
        y_axis_type=y_type,
        tools=",".join(tools),
        toolbar_location="above",
        active_drag=None,
        active_scroll=None,
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
        min_border_left=MARGIN,
        min_border_right=MARGIN * 3,
        lod_threshold=MOST_IN_MOTION,
        lod_timeout=250,
    )
    made.toolbar.logo = None
    made.toolbar.autohide = True
    for axis in made.axis:
        _style(axis)
    made.grid.grid_line_color = GREY
    made.grid.grid_line_alpha = 0.18
    return made


def _style(axis: LinearAxis | LogAxis) -> None:
    axis.axis_line_color = axis.major_tick_line_color = axis.minor_tick_line_color = None
    axis.axis_label_text_color = axis.major_label_text_color = GREY
    axis.axis_label_text_font = axis.major_label_text_font = "system-ui, sans-serif"
    axis.axis_label_text_font_style = "normal"
    axis.axis_label_text_font_size = "12px"
    axis.major_label_text_font_size = "11px"


def counts_on_x(made: figure, text: str) -> None:
    """An x axis of counts, written as 250k; page.js makes the formatter write 1M, too."""
    from bokeh.models import NumeralTickFormatter  # noqa: PLC0415 - with all of Bokeh

    (axis,) = made.xaxis
    axis.formatter = NumeralTickFormatter(format="0.[00]a")
    axis.ticker.desired_num_ticks = 5
    axis.axis_label = label(text)


def hover(rows: Sequence[tuple[str, str]], renderers: Sequence[GlyphRenderer], *, mode: str = "mouse") -> HoverTool:
    """A tooltip of rows, each a plain-text label and a text with columns, which are formatted by printf if they have a format."""
    from bokeh.models import HoverTool  # noqa: PLC0415 - with all of Bokeh

    return HoverTool(
        tooltips=[(label(name), text) for name, text in rows],
        formatters=dict.fromkeys((column for _, text in rows for column in _formatted(text)), "printf"),
        renderers=list(renderers),
        mode=mode,
        line_policy="nearest",
        limit=1,
        visible=False,
    )


def _formatted(text: str) -> list[str]:
    """The columns in a row's text that have a format."""
    return ["@" + part.partition("{")[0] for part in text.split("@")[1:] if "{" in part]


def numbers(values: ArrayLike) -> Array:
    """A column of floats, in 32 bits if those can hold them, which takes half the space."""
    exact: npt.NDArray[np.float64] = np.asarray(values, dtype=np.float64)
    return exact.astype(np.float32) if np.all(np.isnan(exact) | (np.abs(exact) < LARGEST_SINGLE)) else exact


def counts(values: Sequence[int]) -> Array:
    """A column of integers, in 16 bits if all are small."""
    return np.asarray(values, dtype=np.int16 if max(values, default=0) <= LARGEST_SHORT else np.int32)
