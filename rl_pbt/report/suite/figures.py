"""Figures of a suite: aggregates with their intervals, performance profiles, and ranks with their critical difference."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rl_pbt.report.statistics import Estimate
from rl_pbt.report.style import GREY, INK, clean, colours, literal
from rl_pbt.report.suite.scores import SuiteScores, profile

THRESHOLDS = 101
LINE = 0.32  # distance of two names in the rank diagram, in its units


def profiles(scores: SuiteScores, title: str) -> Figure:
    """The share of all runs above each score: a method whose line is above another's everywhere is better at every quantile."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    everything = np.concatenate([one.ravel() for one in scores.by_method.values()])
    low, high = min(0.0, *np.percentile(everything, [2])), max(1.0, *np.percentile(everything, [98]))
    thresholds = np.linspace(low, high, THRESHOLDS)
    for (method, of), colour in zip(scores.by_method.items(), colours(len(scores.by_method)), strict=True):
        share, below, above = profile(of, thresholds)
        axes.plot(thresholds, share, color=colour, linewidth=2.2, label=literal(method))
        if len(of) > 1:
            axes.fill_between(thresholds, below, above, color=colour, alpha=0.15, linewidth=0)
    clean(axes, counts_on_x=False)
    axes.set(ylim=(0, 1.02), xlabel="normalised score", ylabel="share of runs with a higher score")
    axes.set_title(f"{literal(title)}: performance profiles", loc="left", fontweight="bold")
    axes.legend(frameon=False)
    return figure


def aggregates(estimates: Mapping[str, Mapping[str, Estimate]], title: str) -> Figure:
    """A panel for each aggregate, from {aggregate: {method: estimate}}; intervals are lines."""
    figure = Figure(figsize=(4 * len(estimates), 1.2 + 0.45 * len(next(iter(estimates.values())))), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(estimates), sharey=True))
    for axes, (name, by_method) in zip(panels, estimates.items(), strict=True):
        _draw_estimates(axes, by_method)
        axes.set_title(name, loc="left", fontsize="medium")
    figure.suptitle(literal(title), x=0.01, ha="left", fontweight="bold")
    return figure


def _draw_estimates(axes: Axes, by_method: Mapping[str, Estimate]) -> None:
    places = range(len(by_method))[::-1]
    for place, estimate, colour in zip(places, by_method.values(), colours(len(by_method)), strict=True):
        low, high = estimate.interval or (estimate.value, estimate.value)
        axes.plot([low, high], [place, place], color=colour, linewidth=6, alpha=0.35, solid_capstyle="butt")
        axes.plot(estimate.value, place, "o", color=colour)
    clean(axes, counts_on_x=False)
    axes.set_yticks(list(places), [literal(method) for method in by_method])
    axes.set_ylim(-0.6, len(by_method) - 0.4)


def rank_diagram(scores: SuiteScores, title: str) -> Figure:
    """Mean ranks on a line, the best on the left; a bar joins methods that are not shown to differ (Demšar 2006, Fig. 1)."""
    ordered = sorted(scores.ranks.items(), key=lambda one: one[1])
    rows = -(-len(ordered) // 2)
    joined = scores.joined
    figure = Figure(figsize=(8, 1.6 + 0.32 * rows + 0.12 * len(joined)), layout="constrained")
    axes = figure.add_subplot()
    least, most = 1.0, float(max(2, len(ordered)))
    axes.plot([least, most], [0, 0], color=INK, linewidth=1.2)
    for tick in range(int(least), int(most) + 1):
        axes.plot([tick, tick], [0, 0.12], color=INK, linewidth=1.2)
        axes.annotate(str(tick), (tick, 0.16), ha="center", va="bottom")
    for index, (left, right) in enumerate(joined):
        height = -0.12 - 0.12 * index
        axes.plot([left - 0.02, right + 0.02], [height, height], color=INK, linewidth=4, solid_capstyle="round")
    below = -0.2 - 0.12 * len(joined)
    span = most - least
    for index, (method, rank) in enumerate(ordered):
        left = index < rows
        height = below - LINE * (index if left else len(ordered) - 1 - index)
        edge = least - 0.06 * span if left else most + 0.06 * span
        axes.plot([rank, rank, edge], [0, height, height], color=GREY, linewidth=1)
        axes.annotate(f"{literal(method)}  {rank:.2f}", (edge, height), ha="right" if left else "left", va="center")
    if (difference := scores.critical_difference) is not None:
        axes.plot([least, min(most, least + difference)], [0.55, 0.55], color=INK, linewidth=2)
        axes.annotate(f"critical difference {difference:.2f}", (least, 0.6), va="bottom", fontsize=9)
    axes.set_xlim(least - 0.45 * span, most + 0.45 * span)
    axes.set_ylim(below - LINE * (rows - 0.5), 0.95)
    axes.axis("off")
    axes.set_title(f"{literal(title)}: mean ranks", loc="left", fontweight="bold")
    return figure
