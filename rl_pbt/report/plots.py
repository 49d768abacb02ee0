"""Figures that compare methods, drawn from histories. The nouns on them are the task's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from textwrap import fill
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from rl_pbt.arrays import Floats
from rl_pbt.report.baseline import Ends, draw_baseline, reached
from rl_pbt.report.curves import on_one_grid
from rl_pbt.report.statistics import mean_of
from rl_pbt.report.style import COLOURS, GREY, INK, clean, colours, legend_below, legend_beside
from rl_pbt.store.curves import Standing, standings
from rl_pbt.store.history import History
from rl_pbt.tasks.words import Words
from rl_pbt.text import TRAINING_EPISODES, counted

PLACES = 200  # points of a mean over seeds
LONGEST_LINE = 24  # characters of a name below its scores
FAR = 3.0  # interquartile ranges beyond the quartiles, past which a score is drawn at the edge
Curves: TypeAlias = Mapping[str, tuple[Floats, Floats]]  # of one method: name -> units, values


def learning_curves(histories: Mapping[str, Sequence[History]], *, words: Words, title: str = "") -> Figure:
    """Fitness of the populations against all units they spent: the median bold, the middle half a band, the best thin.

    For several seeds the means are drawn. For many methods only the medians are, since nothing else could be told apart.
    """
    few = len(histories) <= len(COLOURS)
    figure = Figure(figsize=(8, 5) if few else (10, 6), layout="constrained")
    axes = figure.add_subplot()
    drawn: list[Line2D] = []
    for (method, by_seed), colour in zip(histories.items(), colours(len(histories)), strict=True):
        curves = _mean_curves([stands for history in by_seed if (stands := standings(history))])
        if curves:
            drawn.append(_draw_population(axes, curve_label(method, by_seed), curves, colour, whole=few))
    clean(axes)
    axes.set_xlabel(f"{words.units} spent by the whole population, evaluation included")
    axes.set_ylabel(f"fitness ({words.score})")
    seeds = max(map(len, histories.values()))
    axes.set_title(title or "Fitness while learning", loc="left", fontweight="bold")
    note = "mean of " + counted(seeds, "seed") if seeds > 1 else ""
    if drawn and few:
        handles = [*drawn, *_meanings()]
        legend_below(figure, handles, title=note or None)
    elif drawn:
        told = "median member" + (f",\n{note}" if note else "")
        legend_beside(figure, drawn, title=told)
    return figure


def _meanings() -> list[Line2D | Patch]:
    """Entries of the legend for what is bold, thin and shaded for every method."""
    return [
        Line2D([], [], color=GREY, linewidth=2.6, label="median member"),
        Line2D([], [], color=GREY, linewidth=1, label="best member"),
        Patch(facecolor=GREY, alpha=0.25, linewidth=0, label="middle half"),
    ]


def _mean_curves(of_seeds: Sequence[Sequence[Standing]]) -> dict[str, tuple[Floats, Floats]]:
    """For best, quartiles and median: the units, and the mean over seeds. A seed that spent less keeps its last value."""
    if not of_seeds:
        return {}
    curves: dict[str, tuple[Floats, Floats]] = {}
    for name in ("best", "upper", "median", "lower"):
        own = [np.array([(stand.units, getattr(stand, name)) for stand in stands], dtype=np.float64) for stands in of_seeds]
        units, values = (own[0][:, 0], own[0][None, :, 1]) if len(own) == 1 else on_one_grid(own, PLACES)
        curves[name] = units, values.mean(axis=0)
    return curves


def curve_label(method: str, by_seed: Iterable[History]) -> str:
    """The method's name, with what its curve shows if that is not its fitness."""
    return f"{method} ({TRAINING_EPISODES})" if any(history.by_training for history in by_seed) else method


def _draw_population(axes: Axes, name: str, curves: Curves, colour: str, *, whole: bool) -> Line2D:
    if whole:
        units, upper = curves["upper"]
        axes.fill_between(units, curves["lower"][1], upper, color=colour, alpha=0.16, linewidth=0, zorder=1)
        axes.plot(*curves["best"], color=colour, linewidth=1, alpha=0.9, zorder=3)
    (line,) = axes.plot(*curves["median"], color=colour, linewidth=2.6 if whole else 2, zorder=4, label=name)
    return line


def winners_scores(
    histories: Mapping[str, Sequence[History]], *, words: Words, baseline: Sequence[float] = (), title: str = ""
) -> Figure:
    """Every test episode of each seed's winner, the seeds' means, and the method's mean with its 95 % interval.

    The axis covers most scores; those far away, and a baseline far away, are triangles at its edge.
    """
    figure = Figure(figsize=(1.6 + 2.4 * max(2, len(histories)), 5), layout="constrained")
    axes = figure.add_subplot()
    usual = _usual_ends(list(histories.values()))
    ends = (0.0, 0.0) if usual is None else reached(usual, baseline)
    for place, (by_seed, colour) in enumerate(zip(histories.values(), colours(len(histories)), strict=True)):
        returns = [history.test.returns for history in by_seed if history.test is not None and history.test.returns]
        for seed, values in enumerate(returns):
            centre = place + 0.56 * ((seed + 0.5) / len(returns) - 0.5) - 0.06
            _draw_strip(axes, values, centre, 0.4 / len(returns), colour, ends)
        if returns:
            _draw_mean(axes, returns, place + 0.38, words)
    axes.set_xlim(-0.5, max(1, len(histories)) - 0.4)
    axes.set_xticks(range(len(histories)), [fill(name, LONGEST_LINE) for name in histories])
    clean(axes, counts_on_x=False)
    axes.grid(False, axis="x")
    axes.set_ylabel(f"{words.score} of a test {words.episode}")
    axes.set_title(title or f"The winners on held-out test {words.held_out}", loc="left", fontweight="bold")
    if usual is not None:
        _mark_outliers(axes, list(histories.values()), ends, words)
    if baseline:
        draw_baseline(axes, baseline, ends, words)
    if handles := axes.get_legend_handles_labels()[0]:
        legend_below(figure, handles)
    return figure


def _draw_strip(axes: Axes, values: Sequence[float], centre: float, width: float, colour: str, ends: Ends) -> None:
    scores, (low, high) = np.asarray(values), ends
    golden = (np.arange(len(scores)) * 0.618034) % 1 - 0.5  # spread evenly, and in the same way each time
    near = (low <= scores) & (scores <= high)
    axes.scatter((centre + width * golden)[near], scores[near], s=13, color=colour, alpha=0.45, linewidths=0, zorder=2)
    mean = float(np.mean(values))
    axes.plot([centre - width * 0.6, centre + width * 0.6], [mean, mean], color=INK, linewidth=1.6, zorder=3)


def _draw_mean(axes: Axes, returns: Sequence[Sequence[float]], place: float, words: Words) -> None:
    estimate = mean_of(returns)
    low, high = estimate.interval or (estimate.value, estimate.value)
    axes.plot([place, place], [low, high], color=INK, linewidth=2, marker="_", markersize=9, zorder=4)
    known = {text.get_label() for text in axes.get_lines()}
    label = f"mean, 95 % interval over {estimate.over(words)}"
    shown = "_" + label if label in known else label
    axes.plot(place, estimate.value, "D", color=INK, markersize=5, zorder=5, label=shown)
    axes.annotate(f"{estimate.value:.4g}", (place, estimate.value), (7, 0), textcoords="offset points", va="center")


def _scores(by_seed: Sequence[History]) -> list[float]:
    """All test scores of a method."""
    return [score for history in by_seed if history.test is not None for score in history.test.returns]


def _usual_ends(by_method: Sequence[Sequence[History]]) -> Ends | None:
    """From where to where most scores are, and all means with their intervals; None before any test."""
    ends = [end for by_seed in by_method for end in usual_range(_scores(by_seed)) or ()]
    ends += [end for by_seed in by_method for end in means_of([h.test.returns for h in by_seed if h.test and h.test.returns])]
    return (min(ends), max(ends)) if ends else None


def _mark_outliers(axes: Axes, by_method: Sequence[Sequence[History]], ends: Ends, words: Words) -> None:
    """If scores lie beyond the ends, limit the axis to what is between, and draw them at its edge."""
    low, high = ends
    tests = [_scores(by_seed) for by_seed in by_method]
    margin = 0.06 * (high - low) or 0.5
    if not any(v < low or v > high for values in tests for v in values):
        return
    axes.set_ylim(low - margin, high + margin)
    label = f"{words.episodes} beyond the axis, and how many"
    for place, values in enumerate(tests):
        for beyond, edge, marker, vertical in (
            ([v for v in values if v > high], high + margin / 2, "^", "bottom"),
            ([v for v in values if v < low], low - margin / 2, "v", "top"),
        ):
            if beyond:
                axes.plot(place - 0.06, edge, marker, color=INK, markersize=6, zorder=6, clip_on=False, label=label)
                told = f"{len(beyond)}, to {max(beyond, key=abs):.4g}"
                axes.annotate(told, (place - 0.06, edge), (8, 0), textcoords="offset points", va=vertical, fontsize=8)
                label = "_" + label


def means_of(returns: Sequence[Sequence[float]]) -> list[float]:
    """What an axis must show, however far outliers pull it: the means of the seeds, and the interval of their mean."""
    if not returns:
        return []
    return [*(float(np.mean(values)) for values in returns), *(mean_of(returns).interval or ())]


def usual_range(values: Sequence[float]) -> tuple[float, float] | None:
    """The smallest and the largest of the values that are not far from the middle half; None if there are no values.

    All values count if there are fewer than 8, or if the middle half has no width.
    """
    if len(values) < 8:
        return (min(values), max(values)) if values else None
    lower, upper = np.percentile(values, [25, 75])
    reach = FAR * (upper - lower)
    near = [value for value in values if lower - reach <= value <= upper + reach] if reach else list(values)
    return min(near), max(near)
