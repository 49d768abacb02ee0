"""How figures look: the colours of Okabe and Ito, which the colour-blind tell apart, on clean axes."""

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
    """So many that differ: of few, colours that the colour-blind can tell apart."""
    if count <= len(COLOURS):
        return COLOURS[:count]
    return [to_hex(one) for one in colormaps["turbo"].resampled(count)(range(count))]


def literal(text: str) -> str:
    """Somebody's words as a label: on one line, and no formula, whatever dollar signs are in it."""
    return plain_text(text, LONGEST_LABEL).replace("$", r"\$")


def clean(axes: Axes, *, counts_on_x: bool = True) -> None:
    """No box, a faint grid; an x axis of counts begins at 0 and says 250k."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(True, color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    if counts_on_x:
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda count, _: readable(count)))


def save(figure: Figure, path: Path) -> None:
    """A PNG, durable when this returns."""
    write_durably(path, as_png(figure))


def as_png(figure: Figure) -> bytes:
    """What its file holds."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # of a script that the font has not: boxes are drawn
        figure.savefig(buffer, format="png", dpi=DPI, facecolor="white")
    return buffer.getvalue()
