"""Figures of a run, drawn from histories. The nouns on them are the task's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rl_pbt.records import Trial
from rl_pbt.report.statistics import LEAST_SEEDS, mean_of
from rl_pbt.report.style import COLOURS, GREY, INK, clean, colours, literal
from rl_pbt.space import Axis, Dimension, Space
from rl_pbt.store.history import History, ancestor_curve, best_fitness_curve, copies, lifetime, units_spent, winning_line
from rl_pbt.tasks.base import Words

ON_LOG_SCALES = 1e-100, 1e100  # what they can show with a margin


def learning_curves(histories: Mapping[str, Sequence[History]], *, words: Words) -> Figure:
    """Fitness of every member (faint) and the best of them as they stand (bold) against all units that a method spent.

    Of many methods only the bold curves can be told apart, so there are no others.
    """
    few = len(histories) <= len(COLOURS)
    figure = Figure(figsize=(8, 5) if few else (10, 6), layout="constrained")
    axes = figure.add_subplot()
    for (method, by_seed), colour in zip(histories.items(), colours(len(histories)), strict=True):
        if few:
            for history in by_seed:
                _draw_members(axes, history, colour, alpha=0.28 / len(by_seed) ** 0.5)
        _draw_best(axes, method, [curve for h in by_seed if (curve := best_fitness_curve(h))], colour, each=few)
    axes.autoscale_view()
    clean(axes)
    axes.set_xlabel(f"{words.units} spent by the whole population, evaluation included")
    axes.set_ylabel(f"fitness ({words.score})")
    axes.set_title("Fitness while learning", loc="left", fontweight="bold")
    seeds = max(map(len, histories.values()))
    bold = "best member" if seeds == 1 else f"best member, mean of {seeds} seeds"
    if few and seeds >= LEAST_SEEDS:
        bold += " and its 95 % interval"
    if axes.get_legend_handles_labels()[0] and few:
        figure.legend(frameon=False, loc="outside lower center", ncols=3, title=bold)
    elif axes.get_legend_handles_labels()[0]:
        figure.legend(frameon=False, loc="outside right center", fontsize="small", title=bold.replace(", ", ",\n"))
    return figure


def _draw_members(axes: Axes, history: History, colour: str, alpha: float) -> None:
    curves: dict[int, list[tuple[int, float]]] = {}
    for units, trials in zip(units_spent(history), history.rounds, strict=True):
        for trial in trials:
            fitness = float("nan") if trial.result.fitness is None else trial.result.fitness
            curves.setdefault(trial.proposal.member, []).append((units, fitness))
    axes.add_collection(LineCollection(list(curves.values()), colors=colour, alpha=alpha, linewidths=0.8, zorder=2))


def _draw_best(axes: Axes, method: str, curves: list[list[tuple[int, float]]], colour: str, *, each: bool) -> None:
    """One seed: its curve bold. Several: `each` thin, and bold their mean over the units that all of them reached.

    Where there are seeds enough for an interval over seeds, that takes the place of the thin curves.
    """
    if not curves:
        return
    arrays = [np.array(curve, dtype=np.float64) for curve in curves]
    if len(arrays) == 1:
        axes.plot(*arrays[0].T, color=colour, linewidth=2.4, zorder=4, label=method)
        return
    start, end = max(array[0, 0] for array in arrays), min(array[-1, 0] for array in arrays)
    units = np.linspace(start, max(start, end), 100)
    fitness = np.array([np.interp(units, *array.T) for array in arrays])  # [seed, place]
    estimates = [mean_of([[value] for value in values]) for values in fitness.T]
    if each and len(arrays) >= LEAST_SEEDS:
        low, high = zip(*(estimate.interval or (estimate.value,) * 2 for estimate in estimates), strict=True)
        axes.fill_between(units, low, high, color=colour, alpha=0.15, linewidth=0, zorder=1)
    for array in arrays if each and len(arrays) < LEAST_SEEDS else []:
        axes.plot(*array.T, color=colour, linewidth=1, alpha=0.65, zorder=3)
    axes.plot(units, [estimate.value for estimate in estimates], color=colour, linewidth=2.6, zorder=4, label=method)


def schedules(history: History, space: Space, *, title: str, words: Words) -> Figure:
    """Each hyperparameter, and the fitness below, over a member's own training units; the winner's line of descent is bold."""
    panels = len(space.dimensions) + 1
    figure = Figure(figsize=(8, 1.0 + 1.9 * panels), layout="constrained")
    all_axes = figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]
    copied = copies(history)
    for axes, (name, dimension) in zip(all_axes, space.dimensions.items(), strict=False):
        _draw_hyper(axes, history, copied, name, dimension)
    _draw_fitness_of_lineages(all_axes[-1], history)
    all_axes[-1].set_ylabel("fitness")
    all_axes[-1].set_xlabel(f"{words.units} this member was trained for, along its line of descent")
    all_axes[0].set_title(title, loc="left", fontweight="bold")
    handles = [Line2D([], [], color=GREY, alpha=0.6, linewidth=1, label="every member")]
    if winning := winning_line(history):
        handles.append(Line2D([], [], color=COLOURS[0], linewidth=2.4, label="the winner's line of descent"))
        if any(trial.proposal.id in copied for trial in winning):
            dot = Line2D([], [], color=COLOURS[0], marker="o", markerfacecolor="white", linestyle="", label="copied")
            handles.append(dot)
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _draw_hyper(axes: Axes, history: History, copied: set[int], name: str, dimension: Dimension) -> None:
    def shown(trial: Trial) -> float:
        return dimension.plotted(trial.proposal.hypers[name])

    healthy = [trial for trial in history.trials if trial.result.failure is None and name in trial.proposal.hypers]
    segments = [[(x, shown(trial)) for x in lifetime(history, trial)] for trial in healthy]
    axes.add_collection(LineCollection(segments, colors=GREY, linewidths=1, alpha=0.35))
    line = [trial for trial in winning_line(history) if name in trial.proposal.hypers]
    edges = [x for trial in line for x in lifetime(history, trial)]
    values = [shown(trial) for trial in line for _ in range(2)]
    axes.plot(edges, values, color=COLOURS[0], linewidth=2.4, zorder=4, solid_joinstyle="miter")
    dots = [trial for trial in line if trial.proposal.id in copied]
    places, heights = [lifetime(history, trial)[0] for trial in dots], [shown(trial) for trial in dots]
    axes.plot(places, heights, "o", color=COLOURS[0], markerfacecolor="white", markersize=5, zorder=5)
    axes.autoscale_view()
    clean(axes)
    axis = dimension.axis(name)
    logarithmic = on_log_scale(axis, [y for segment in segments for _, y in segment])
    if logarithmic:
        axes.set_yscale("log")
    if axis.ticks:
        axes.set_yticks(list(axis.ticks), [literal(name) for name in axis.ticks.values()])
        axes.minorticks_off()
    if axis.flipped:
        axes.yaxis.set_inverted(True)
    axes.set_ylabel(literal(axis.label))


def on_log_scale(axis: Axis, drawn: Sequence[float]) -> bool:
    """Whether the axis is logarithmic and can show what is drawn.

    An empty one has no limits; and published hyperparameters, which may lie outside the space, may be 0 or anything.
    """
    return axis.log and bool(drawn) and ON_LOG_SCALES[0] < min(drawn) <= max(drawn) < ON_LOG_SCALES[1]


def _draw_fitness_of_lineages(axes: Axes, history: History) -> None:
    segments = [
        [(p.lineage_units, p.fitness), (t.result.lineage_units, t.result.fitness)]
        for t in history.trials
        if t.proposal.parent is not None and (p := history.by_id[t.proposal.parent].result).fitness is not None
        if t.result.fitness is not None
    ]
    axes.add_collection(LineCollection(segments, colors=GREY, linewidths=1, alpha=0.35))
    if history.chosen is not None:
        axes.plot(*zip(*ancestor_curve(history, history.chosen), strict=True), color=COLOURS[0], linewidth=2.4, zorder=4)
    axes.autoscale_view()
    clean(axes)


def winners_scores(histories: Mapping[str, Sequence[History]], *, words: Words, baseline: Sequence[float] = ()) -> Figure:
    """Every test episode of each seed's winner, the seeds' means, and the method's mean with its 95 % interval."""
    figure = Figure(figsize=(1.6 + 2.4 * max(2, len(histories)), 5), layout="constrained")
    axes = figure.add_subplot()
    for place, (by_seed, colour) in enumerate(zip(histories.values(), colours(len(histories)), strict=True)):
        returns = [history.test.returns for history in by_seed if history.test is not None and history.test.returns]
        for seed, values in enumerate(returns):
            centre = place + 0.56 * ((seed + 0.5) / len(returns) - 0.5) - 0.06
            _draw_strip(axes, values, centre, 0.4 / len(returns), colour)
        if returns:
            _draw_mean(axes, returns, place + 0.38, words)
    if baseline:
        mean = float(np.mean(baseline))
        axes.axhline(mean, color=GREY, linestyle="--", linewidth=1.4, zorder=1, label=f"{words.baseline}: {mean:.4g}")
    axes.set_xlim(-0.5, max(1, len(histories)) - 0.4)
    axes.set_xticks(range(len(histories)), list(histories))
    clean(axes, counts_on_x=False)
    axes.grid(False, axis="x")
    axes.set_ylabel(f"{words.score} of a test {words.episode}")
    axes.set_title("The winners on held-out test seeds", loc="left", fontweight="bold")
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def _draw_strip(axes: Axes, values: Sequence[float], centre: float, width: float, colour: str) -> None:
    golden = (np.arange(len(values)) * 0.618034) % 1 - 0.5  # spread evenly, and the same each time
    axes.scatter(centre + width * golden, values, s=13, color=colour, alpha=0.45, linewidths=0, zorder=2)
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
