"""The hyperparameters of a population over its training, with the winner's line of descent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rl_pbt.records import Trial
from rl_pbt.report.style import COLOURS, GREY, INK, clean, legend_below, literal
from rl_pbt.search import METHODS
from rl_pbt.space import Axis, Dimension, Space
from rl_pbt.store.curves import ancestor_curve
from rl_pbt.store.descent import copies, has_schedules, lifetime, winning_line
from rl_pbt.store.history import History
from rl_pbt.tasks.words import Words
from rl_pbt.text import TRAINING_EPISODES

LineStyle: TypeAlias = Literal[":", "-."] | tuple[float, Sequence[float]]
ON_LOG_SCALES = 1e-100, 1e100  # the values that log scales can show with a margin
DOTTED: Sequence[LineStyle] = (":", "-.", (0, (1, 4)))  # for the first three methods that are drawn beside


def made_by_hand(histories: Mapping[str, History]) -> dict[str, History]:
    """Among methods on one seed, those with a schedule that was made by hand and has begun, to compare others with."""
    return {name: history for name, history in histories.items() if METHODS[name].made_by_hand and has_schedules(history)}


def schedules(history: History, space: Space, *, title: str, words: Words, beside: Mapping[str, History] | None = None) -> Figure:
    """Each hyperparameter, and the fitness below, over a member's own training units; the winner's line of descent is bold.

    The winners of methods that are drawn `beside` it have dotted lines.
    """
    beside = beside or {}
    panels = len(space.dimensions) + 1
    figure = Figure(figsize=(8, 1.0 + 1.9 * panels), layout="constrained")
    all_axes = figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]
    copied = copies(history)
    for axes, (name, dimension) in zip(all_axes, space.dimensions.items(), strict=False):
        for other, line in zip(beside.values(), DOTTED, strict=False):
            _draw_beside(axes, other, name, dimension, line)
        _draw_hyper(axes, history, copied, name, dimension)
    _draw_fitness_of_lineages(all_axes[-1], history)
    all_axes[-1].set_ylabel(fitness_label(history).replace(" (", "\n("))
    all_axes[-1].set_xlabel(f"{words.units} this member was trained for, along its line of descent")
    all_axes[0].set_title(title, loc="left", fontweight="bold", wrap=True)
    handles = [Line2D([], [], color=GREY, alpha=0.6, linewidth=1, label="every member")]
    if winning := winning_line(history):
        handles.append(Line2D([], [], color=COLOURS[0], linewidth=2.4, label="the winner's line of descent"))
        if any(trial.proposal.id in copied for trial in winning):
            dot = Line2D([], [], color=COLOURS[0], marker="o", markerfacecolor="white", linestyle="", label="copied")
            handles.append(dot)
    for method, line in zip(beside, DOTTED, strict=False):
        label = f"the winner of {literal(method)}"
        handles.append(Line2D([], [], color=INK, linestyle=line, linewidth=1.6, label=label))
    if any(dimension.bounds for dimension in space.dimensions.values()):
        handles.append(Line2D([], [], color=GREY, linestyle=(0, (4, 4)), linewidth=0.9, label="bounds of the search"))
    legend_below(figure, handles)
    return figure


def _draw_beside(axes: Axes, other: History, name: str, dimension: Dimension, line: LineStyle) -> None:
    trials = [trial for trial in winning_line(other) if name in trial.proposal.hypers]
    edges = [x for trial in trials for x in lifetime(other, trial)]
    heights = [dimension.plotted(trial.proposal.hypers[name]) for trial in trials for _ in range(2)]
    axes.plot(edges, heights, color=INK, linestyle=line, linewidth=1.6, zorder=3)


def fitness_label(history: History) -> str:
    """The label of the fitness along lines of descent, which says if it comes from training episodes."""
    return f"fitness ({TRAINING_EPISODES})" if history.by_training else "fitness"


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
    for bound in dimension.bounds if healthy else ():
        axes.axhline(dimension.plotted(bound), color=GREY, linestyle=(0, (4, 4)), linewidth=0.9, zorder=1)
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

    An empty axis has no limits, and published hyperparameters may lie outside the space and be 0 or anything else.
    """
    return axis.log and bool(drawn) and ON_LOG_SCALES[0] < min(drawn) <= max(drawn) < ON_LOG_SCALES[1]


def _draw_fitness_of_lineages(axes: Axes, history: History) -> None:
    segments = [
        [(p.lineage_units, before), (t.result.lineage_units, after)]
        for t in history.trials
        if t.proposal.parent is not None and (before := (p := history.by_id[t.proposal.parent].result).score) is not None
        if (after := t.result.score) is not None
    ]
    axes.add_collection(LineCollection(segments, colors=GREY, linewidths=1, alpha=0.35))
    if history.chosen is not None:
        axes.plot(*zip(*ancestor_curve(history, history.chosen), strict=True), color=COLOURS[0], linewidth=2.4, zorder=4)
    axes.autoscale_view()
    clean(axes)
