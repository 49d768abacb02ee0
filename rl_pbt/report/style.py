"""How figures look: the colours of Okabe and Ito, which colour-blind readers can tell apart, on clean axes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Literal, TypeAlias

from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.ticker import FuncFormatter, MaxNLocator

from rl_pbt.errors import plain_text
from rl_pbt.store.files import write_durably
from rl_pbt.text import readable

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
GREY = "#8a8f98"
INK = "#1b1f3b"
GRID = "#e4e6eb"
DPI = 150
LONGEST_LABEL = 150  # characters
Place: TypeAlias = Literal["outside lower center", "outside right center"]
ONE_ROW, MARGIN, LEAST_WIDTH = (
    0.4,
    0.3,
    5.0,
)  # inches: the height of a legend with one row, its margins, the width of axes beside it


def colours(count: int) -> Sequence[str]:
    """`count` different colours; if they are few, ones that colour-blind readers can tell apart."""
    if count <= len(COLOURS):
        return COLOURS[:count]
    return [to_hex(one) for one in colormaps["turbo"].resampled(count)(range(count))]


def literal(text: str) -> str:
    """Any text as a label: on one line, and never a formula, whatever dollar signs are in it."""
    return plain_text(text, LONGEST_LABEL).replace("$", r"\$")


def clean(axes: Axes, *, counts_on_x: bool = True) -> None:
    """No box and a faint grid; an x axis of counts begins at 0 and writes 250k."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(True, color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    if counts_on_x:
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda count, _: readable(count)))


def legend_below(figure: Figure, handles: Sequence[Artist], *, title: str | None = None, size: float = 10) -> None:
    """A legend below the axes, in as few rows as fit the width of the figure, in letters of `size` points or less.

    The figure becomes higher for all rows but the first, so that its axes keep their height.
    """
    for rows in range(1, len(handles) + 1):
        legend = _legend(figure, handles, "outside lower center", title, size, columns=ceil(len(handles) / rows))
        width, height = _inches(legend)
        if width <= figure.get_figwidth():
            break
        legend.remove()
    else:
        smaller = size * figure.get_figwidth() / width
        width, height = _inches(_legend(figure, handles, "outside lower center", title, smaller))
    figure.set_figheight(figure.get_figheight() + max(0.0, height - ONE_ROW))


def legend_beside(figure: Figure, handles: Sequence[Artist], *, title: str | None = None) -> None:
    """A legend on the right of the axes; the figure grows to hold all of it, and axes as wide as `LEAST_WIDTH`."""
    width, height = _inches(_legend(figure, handles, "outside right center", title, "small"))
    figure.set_figwidth(max(figure.get_figwidth(), width + LEAST_WIDTH))
    figure.set_figheight(max(figure.get_figheight(), height + MARGIN))


def _legend(
    figure: Figure, handles: Sequence[Artist], place: Place, title: str | None, size: float | str, columns: int = 1
) -> Legend:
    return figure.legend(
        handles=handles, frameon=False, loc=place, title=title, fontsize=size, title_fontsize=size, ncols=columns
    )


def _inches(legend: Legend) -> tuple[float, float]:
    """Width and height."""
    extent = legend.get_window_extent()
    figure = legend.get_figure(root=True)
    assert figure is not None
    return extent.width / figure.dpi, extent.height / figure.dpi


def save(figure: Figure, path: Path) -> None:
    """Write a PNG, which is durable when this returns."""
    write_durably(path, as_png(figure))


def as_png(figure: Figure) -> bytes:
    """The content of the PNG file."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # scripts that the font lacks are drawn as boxes
        figure.savefig(buffer, format="png", dpi=DPI, facecolor="white")
    return buffer.getvalue()
