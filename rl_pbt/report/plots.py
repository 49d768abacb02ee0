"""Figures of a run, drawn from histories, in the colours of Okabe and Ito: the colour-blind tell them apart."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from rl_pbt.history import History, ancestor_curve, best_fitness_curve, copies, frames_spent, line_of_descent
from rl_pbt.records import Hyper, Trial
from rl_pbt.space import Categorical, parse_dimension
from rl_pbt.statistics import LEAST_SEEDS, mean_of
from rl_pbt.store import write_durably
from rl_pbt.text import readable

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
GREY = "#8a8f98"
INK = "#1b1f3b"
DPI = 150


def save(figure: Figure, path: Path) -> None:
    """A PNG, durable when this returns."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, facecolor="white")
    write_durably(path, buffer.getvalue())


def _clean(axes: Axes, *, frames_on_x: bool = True) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(True, color="#e4e6eb", linewidth=0.7)
    axes.set_axisbelow(True)
    if frames_on_x:
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda frames, _: readable(frames)))


def learning_curves(histories: Mapping[str, Sequence[History]], *, fitness: str = "fitness") -> Figure:
    """Fitness of every member (faint) and the best of them as they stand (bold) against all frames that a method spent.

    Of many methods only the bold curves can be told apart, so there are no others.
    """
    few = len(histories) <= len(COLOURS)
    figure = Figure(figsize=(8, 5) if few else (10, 6), layout="constrained")
    axes = figure.add_subplot()
    for (method, of_method), colour in zip(histories.items(), _colours(len(histories)), strict=True):
        if few:
            for history in of_method:
                _draw_members(axes, history, colour, alpha=0.28 / len(of_method) ** 0.5)
        _draw_best(axes, method, [curve for h in of_method if (curve := best_fitness_curve(h))], colour, each=few)
    _clean(axes)
    axes.set_xlabel("environment frames spent by the whole population, evaluation included")
    axes.set_ylabel(fitness)
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


def _colours(count: int) -> Sequence[str]:
    """So many that differ: of few, colours that the colour-blind can tell apart."""
    return (
        COLOURS[:count] if count <= len(COLOURS) else [to_hex(one) for one in colormaps["turbo"].resampled(count)(range(count))]
    )


def _draw_members(axes: Axes, history: History, colour: str, alpha: float) -> None:
    curves: dict[int, list[tuple[int, float]]] = {}
    for frames, trials in zip(frames_spent(history), history.rounds, strict=True):
        for trial in trials:
            fitness = float("nan") if trial.result.fitness is None else trial.result.fitness
            curves.setdefault(trial.proposal.member, []).append((frames, fitness))
    for curve in curves.values():
        frames_of_curve, values = zip(*curve, strict=True)
        axes.plot(frames_of_curve, values, color=colour, alpha=alpha, linewidth=0.8, zorder=2)


def _draw_best(axes: Axes, method: str, curves: list[list[tuple[int, float]]], colour: str, *, each: bool) -> None:
    """One seed: its curve bold. Several: `each` thin, and bold their mean over the frames that all of them reached.

    Where there are seeds enough for an interval over seeds, that takes the place of the thin curves.
    """
    if not curves:
        return
    arrays = [np.array(curve, dtype=np.float64) for curve in curves]
    if len(arrays) == 1:
        axes.plot(*arrays[0].T, color=colour, linewidth=2.4, zorder=4, label=method)
        return
    start, end = max(array[0, 0] for array in arrays), min(array[-1, 0] for array in arrays)
    frames = np.linspace(start, max(start, end), 100)
    of_seeds = np.array([np.interp(frames, *array.T) for array in arrays])
    estimates = [mean_of([[value] for value in values]) for values in of_seeds.T]
    if each and len(arrays) >= LEAST_SEEDS:
        low, high = zip(*(estimate.interval or (estimate.value,) * 2 for estimate in estimates), strict=True)
        axes.fill_between(frames, low, high, color=colour, alpha=0.15, linewidth=0, zorder=1)
    for array in arrays if each and len(arrays) < LEAST_SEEDS else []:
        axes.plot(*array.T, color=colour, linewidth=1, alpha=0.65, zorder=3)
    axes.plot(frames, [estimate.value for estimate in estimates], color=colour, linewidth=2.6, zorder=4, label=method)


def schedules(history: History, search: Mapping[str, str], *, title: str, fitness: str = "fitness") -> Figure:
    """Each hyper, and the fitness below, over a member's own training frames; the winner's line of descent is bold."""
    panels = len(search) + 1
    figure = Figure(figsize=(8, 1.0 + 1.9 * panels), layout="constrained")
    all_axes = figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]
    winning = [] if history.chosen is None else line_of_descent(history, history.chosen)
    for axes, (name, scale) in zip(all_axes, search.items(), strict=False):
        _draw_hyper(axes, history, winning, name, scale)
    _draw_fitness_of_lineages(all_axes[-1], history, winning)
    all_axes[-1].set_ylabel(fitness, wrap=True)
    all_axes[-1].set_xlabel("environment frames this agent was trained for, along its line of descent")
    all_axes[0].set_title(title, loc="left", fontweight="bold")
    handles = [Line2D([], [], color=GREY, alpha=0.6, linewidth=1, label="every member")]
    if winning:
        handles.append(Line2D([], [], color=COLOURS[0], linewidth=2.4, label="the winner's line of descent"))
        if copies(history) & set(winning):
            copied = Line2D([], [], color=COLOURS[0], marker="o", markerfacecolor="white", linestyle="", label="copied")
            handles.append(copied)
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _draw_hyper(axes: Axes, history: History, winning: list[int], name: str, scale: str) -> None:
    dimension = parse_dimension(scale)
    choices = dimension.extremes if isinstance(dimension, Categorical) else ()

    def shown(value: Hyper) -> float:
        if choices:
            return dimension.unit(value) * (len(choices) - 1)
        return 1 - float(value) if scale.startswith("horizon") else float(value)

    trials = history.by_id
    living = [trial for trial in history.trials if trial.result.failure is None and name in trial.proposal.hypers]
    segments = [[(x, shown(t.proposal.hypers[name])) for x in _lived_from(trials, t)] for t in living]
    axes.add_collection(LineCollection(segments, colors=GREY, linewidths=1, alpha=0.35))
    line = [trials[ancestor] for ancestor in winning if name in trials[ancestor].proposal.hypers]
    edges = [x for trial in line for x in _lived_from(trials, trial)]
    values = [shown(trial.proposal.hypers[name]) for trial in line for _ in range(2)]
    axes.plot(edges, values, color=COLOURS[0], linewidth=2.4, zorder=4, solid_joinstyle="miter")
    made = copies(history)
    copied = [trial for trial in line if trial.proposal.id in made]
    places = [_lived_from(trials, trial)[0] for trial in copied]
    heights = [shown(trial.proposal.hypers[name]) for trial in copied]
    axes.plot(places, heights, "o", color=COLOURS[0], markerfacecolor="white", markersize=5, zorder=5)
    axes.autoscale_view()
    _clean(axes)
    if choices:
        axes.set_yticks(range(len(choices)), list(map(str, choices)))
    # An empty log scale has no limits; and published hypers, which may lie outside the space, may be 0.
    if living and scale.startswith(("log", "horizon")) and min(y for segment in segments for _, y in segment) > 0:
        axes.set_yscale("log")
    axes.set_ylabel(f"1 − {name}" if scale.startswith("horizon") else name)


def _lived_from(trials: Mapping[int, Trial], trial: Trial) -> tuple[int, int]:
    """Lineage frames at the start and at the end of a trial that did not fail."""
    parent = trial.proposal.parent
    return (0 if parent is None else trials[parent].result.lineage_frames), trial.result.lineage_frames


def _draw_fitness_of_lineages(axes: Axes, history: History, winning: list[int]) -> None:
    trials = history.by_id
    segments = [
        [(p.lineage_frames, p.fitness), (t.result.lineage_frames, t.result.fitness)]
        for t in history.trials
        if t.proposal.parent is not None and (p := trials[t.proposal.parent].result).fitness is not None
        if t.result.fitness is not None
    ]
    axes.add_collection(LineCollection(segments, colors=GREY, linewidths=1, alpha=0.35))
    if winning:
        axes.plot(*zip(*ancestor_curve(history, winning[-1]), strict=True), color=COLOURS[0], linewidth=2.4, zorder=4)
    axes.autoscale_view()
    _clean(axes)


def winners_returns(histories: Mapping[str, Sequence[History]], *, random_policy: Sequence[float] = ()) -> Figure:
    """Every test episode of each seed's winner, the seeds' means, and the method's mean with its 95 % interval."""
    figure = Figure(figsize=(1.6 + 2.4 * max(2, len(histories)), 5), layout="constrained")
    axes = figure.add_subplot()
    for place, (of_method, colour) in enumerate(zip(histories.values(), _colours(len(histories)), strict=True)):
        returns = [history.test.returns for history in of_method if history.test is not None]
        for seed, values in enumerate(returns):
            centre = place + 0.56 * ((seed + 0.5) / len(returns) - 0.5) - 0.06
            _draw_strip(axes, values, centre, 0.4 / len(returns), colour)
        if returns:
            _draw_mean(axes, returns, place + 0.38)
    if random_policy:
        mean = float(np.mean(random_policy))
        axes.axhline(mean, color=GREY, linestyle="--", linewidth=1.4, zorder=1, label=f"random policy: {mean:.4g}")
    axes.set_xlim(-0.5, max(1, len(histories)) - 0.4)
    axes.set_xticks(range(len(histories)), list(histories))
    _clean(axes, frames_on_x=False)
    axes.grid(False, axis="x")
    axes.set_ylabel("return of a test episode")
    axes.set_title("The winners on held-out test seeds", loc="left", fontweight="bold")
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def _draw_strip(axes: Axes, values: Sequence[float], centre: float, width: float, colour: str) -> None:
    golden = (np.arange(len(values)) * 0.618034) % 1 - 0.5  # spread evenly, and the same each time
    axes.scatter(centre + width * golden, values, s=13, color=colour, alpha=0.45, linewidths=0, zorder=2)
    mean = float(np.mean(values))
    axes.plot([centre - width * 0.6, centre + width * 0.6], [mean, mean], color=INK, linewidth=1.6, zorder=3)


def _draw_mean(axes: Axes, returns: Sequence[Sequence[float]], place: float) -> None:
    estimate = mean_of(returns)
    low, high = estimate.interval or (estimate.value, estimate.value)
    axes.plot([place, place], [low, high], color=INK, linewidth=2, marker="_", markersize=9, zorder=4)
    known = {text.get_label() for text in axes.get_lines()}
    label = f"mean, 95 % interval over {estimate.unit}"
    shown = "_" + label if label in known else label
    axes.plot(place, estimate.value, "D", color=INK, markersize=5, zorder=5, label=shown)
    axes.annotate(f"{estimate.value:.4g}", (place, estimate.value), (7, 0), textcoords="offset points", va="center")
