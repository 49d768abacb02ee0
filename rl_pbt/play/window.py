"""A window that plays at natural speed."""

from __future__ import annotations

import time
from collections.abc import Iterable

import matplotlib
from matplotlib import pyplot
from matplotlib.image import AxesImage

from rl_pbt.errors import UserError
from rl_pbt.play.pictures import Shot

WITHOUT_WINDOWS = {"agg", "pdf", "ps", "svg", "cairo", "template"}


def check_display() -> None:
    """Raises UserError where there is no display."""
    if matplotlib.get_backend().lower() in WITHOUT_WINDOWS:
        raise UserError("there is no display for a window here: write a video to a file, winner.mp4 or winner.gif for instance")


def show(shots: Iterable[Shot]) -> None:
    """Show the pictures until they end, or the window is closed."""
    figure = pyplot.figure("rl_pbt", layout="tight")
    axes = figure.add_subplot()
    axes.set_axis_off()
    image: AxesImage | None = None
    for shot in shots:
        due = time.monotonic() + 1 / shot.per_s
        picture = shot.finished()
        if image is None:
            image = axes.imshow(picture, interpolation="nearest")
        image.set_data(picture)
        pyplot.pause(max(0.001, due - time.monotonic()))
        if not pyplot.fignum_exists(figure.number):
            return
