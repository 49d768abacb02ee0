"""The anytime curve: the held-out test score that the search would have given if it had been stopped earlier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rl_pbt.arrays import Floats
from rl_pbt.report.baseline import draw_baseline
from rl_pbt.report.curves import on_one_grid
from rl_pbt.report.statistics import LEAST_SEEDS, mean_of
from rl_pbt.report.style import COLOURS, clean, colours, legend_below, legend_beside
from rl_pbt.store.curves import anytime_curve
from rl_pbt.store.history import History
from rl_pbt.tasks.words import Words

PLACES = 60  # points of a mean over seeds, each with an interval


def anytime_curves(
    histories: Mapping[str, Sequence[History]], *, words: Words, baseline: Sequence[float] = (), title: str = ""
) -> Figure:
    """The leading member's mean test score against all units spent; for several seeds the mean, with its 95 % interval.

    Leaders were tested after the search, on seeds that nothing was selected on: unlike the best fitness, this is not a maximum of
    noisy scores.
    """
    few = len(histories) <= len(COLOURS)
    figure = Figure(figsize=(8, 5) if few else (10, 6), layout="constrained")
    axes = figure.add_subplot()
    for (method, by_seed), colour in zip(histories.items(), colours(len(histories)), strict=True):
        curves = [np.array(curve, dtype=np.float64) for history in by_seed if (curve := anytime_curve(history))]
        if len(curves) == 1:
            axes.plot(*curves[0].T, color=colour, linewidth=2.4, marker="o", markersize=4, zorder=4, label=method)
        elif curves:
            _draw_mean(axes, method, curves, colour, whole=few)
    clean(axes)
    axes.set_xlabel(f"{words.units} spent by the whole population, evaluation included")
    axes.set_ylabel(f"test {words.score} of the best member so far")
    axes.set_title(title or f"Best member so far, on held-out test {words.held_out}", loc="left", fontweight="bold")
    if baseline:
        draw_baseline(axes, baseline, (axes.dataLim.y0, axes.dataLim.y1), words)
    handles = axes.get_legend_handles_labels()[0]
    if handles and few:
        legend_below(figure, handles)
    elif handles:
        legend_beside(figure, handles)
    return figure


def _draw_mean(axes: Axes, method: str, curves: Sequence[Floats], colour: str, *, whole: bool) -> None:
    """The mean from where the curves of all seeds have begun; a seed that ended earlier keeps its last score."""
    units, scores = on_one_grid(curves, PLACES)
    estimates = [mean_of([[value] for value in values]) for values in scores.T]
    if whole and len(curves) >= LEAST_SEEDS:
        low, high = zip(*(estimate.interval or (estimate.value,) * 2 for estimate in estimates), strict=True)
        axes.fill_between(units, low, high, color=colour, alpha=0.15, linewidth=0, zorder=1)
    for curve in curves if whole else ():
        axes.plot(*curve.T, color=colour, linewidth=0.8, alpha=0.5, zorder=2)
    axes.plot(units, [estimate.value for estimate in estimates], color=colour, linewidth=2.6, zorder=4, label=method)
