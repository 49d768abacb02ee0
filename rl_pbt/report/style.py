"""How figures look: the colours of Okabe and Ito, which colour-blind readers can tell apart, on clean axes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
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
