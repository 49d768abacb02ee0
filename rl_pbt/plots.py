"""Four figures of a run, drawn from histories, in the colours of Okabe and Ito: the colour-blind tell them apart."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from rl_pbt.records import Hyper, Trial
from rl_pbt.statistics import (
    Floats,
    History,
    ancestor_curve,
    best_fitness_curve,
    frames_spent,
    line_of_descent,
    mean_of,
)
from rl_pbt.store import write_durably

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
GREY = "#8a8f98"
INK = "#1b1f3b"
GENERATIONS = LinearSegmentedColormap.from_list("generations", ["#f7a1c4", "#c77bc8", "#7f6fd0", "#2a62c9"])
DPI = 150
SWEEPS = 30  # of the family tree's straightening


def save(figure: Figure, path: Path) -> None:
    """A PNG, durable when this returns."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, facecolor="white")
    write_durably(path, buffer.getvalue())


def human(frames: float) -> str:
    """250k, 1.2M: a count of frames to three digits."""
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(frames) >= unit:
            return f"{frames / unit:.3g}{name}"
    return f"{frames:.3g}"


def _clean(axes: Axes, *, frames_on_x: bool = True) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(True, color="#e4e6eb", linewidth=0.7)
    axes.set_axisbelow(True)
    if frames_on_x:
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda frames, _: human(frames)))


def learning_curves(histories: Mapping[str, Sequence[History]], *, fitness: str = "fitness") -> Figure:
    """Fitness of every member (faint) and the best of each generation (bold) against all frames that a method spent."""
    figure = Figure(figsize=(8, 4.8), layout="constrained")
    axes = figure.add_subplot()
    for (method, of_method), colour in zip(histories.items(), _colours(histories), strict=True):
        for history in of_method:
            _draw_members(axes, history, colour, alpha=0.28 / len(of_method) ** 0.5)
        _draw_best(axes, method, [curve for h in of_method if (curve := best_fitness_curve(h))], colour)
    _clean(axes)
    axes.set_xlabel("environment frames spent by the whole population, evaluation included")
    axes.set_ylabel(fitness)
    axes.set_title("Fitness while learning", loc="left", fontweight="bold")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, loc="best")
    return figure


def _colours(histories: Mapping[str, object]) -> list[str]:
    return [COLOURS[index % len(COLOURS)] for index in range(len(histories))]


def _draw_members(axes: Axes, history: History, colour: str, alpha: float) -> None:
    curves: dict[int, list[tuple[int, float]]] = {}
    for frames, trials in zip(frames_spent(history), history.generations, strict=True):
        for trial in trials:
            fitness = float("nan") if trial.result.fitness is None else trial.result.fitness
            curves.setdefault(trial.proposal.member, []).append((frames, fitness))
    for curve in curves.values():
        frames_of_curve, values = zip(*curve, strict=True)
        axes.plot(frames_of_curve, values, color=colour, alpha=alpha, linewidth=0.8, zorder=2)


def _draw_best(axes: Axes, method: str, curves: list[list[tuple[int, float]]], colour: str) -> None:
    """One seed: its curve bold. Several: each thin, and bold their mean over the frames that all of them reached."""
    if not curves:
        return
    arrays = [np.array(curve, dtype=np.float64) for curve in curves]
    if len(arrays) == 1:
        axes.plot(*arrays[0].T, color=colour, linewidth=2.4, zorder=4, label=f"{method}: best member")
        return
    for array in arrays:
        axes.plot(*array.T, color=colour, linewidth=1, alpha=0.65, zorder=3)
    start, end = max(array[0, 0] for array in arrays), min(array[-1, 0] for array in arrays)
    frames = np.linspace(start, max(start, end), 200)
    mean = np.mean([np.interp(frames, *array.T) for array in arrays], axis=0)
    label = f"{method}: best member, mean of {len(arrays)} seeds"
    axes.plot(frames, mean, color=colour, linewidth=2.6, zorder=4, label=label)


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
        if any(history.by_id[ancestor].proposal.hypers_from is not None for ancestor in winning):
            copied = Line2D([], [], color=COLOURS[0], marker="o", markerfacecolor="white", linestyle="", label="copied")
            handles.append(copied)
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _draw_hyper(axes: Axes, history: History, winning: list[int], name: str, scale: str) -> None:
    choices = scale.split(":")[1:] if scale.startswith("choice") else []

    def shown(value: Hyper) -> float:
        if choices:
            return choices.index(value if isinstance(value, str) else f"{value:g}")
        return 1 - float(value) if scale.startswith("horizon") else float(value)

    trials = history.by_id
    living = [trial for trial in history.trials if trial.result.failure is None and name in trial.proposal.hypers]
    segments = [[(x, shown(t.proposal.hypers[name])) for x in _lived_from(trials, t)] for t in living]
    axes.add_collection(LineCollection(segments, colors=GREY, linewidths=1, alpha=0.35))
    line = [trials[ancestor] for ancestor in winning if name in trials[ancestor].proposal.hypers]
    edges = [x for trial in line for x in _lived_from(trials, trial)]
    values = [shown(trial.proposal.hypers[name]) for trial in line for _ in range(2)]
    axes.plot(edges, values, color=COLOURS[0], linewidth=2.4, zorder=4, solid_joinstyle="miter")
    copies = [trial for trial in line if trial.proposal.hypers_from is not None]
    places = [_lived_from(trials, trial)[0] for trial in copies]
    heights = [shown(trial.proposal.hypers[name]) for trial in copies]
    axes.plot(places, heights, "o", color=COLOURS[0], markerfacecolor="white", markersize=5, zorder=5)
    axes.autoscale_view()
    _clean(axes)
    if choices:
        axes.set_yticks(range(len(choices)), choices)
    if living and scale.startswith(("log", "horizon")):  # an empty log scale has no limits
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


def family_tree(history: History, *, title: str) -> Figure:
    """The population's phylogeny, time downwards: a node a proposal, first generation pink and last blue.

    After the lineage figure of Jaderberg 2017. Lines that left no descendant fade; the winner's is dark.
    """
    places = tree_layout(history)
    generations = 1 + max((trial.proposal.generation for trial in history.trials), default=0)
    widest = 1 + max((x for x, _ in places.values()), default=0.0)
    figure = Figure(figsize=(2.2 + min(9.0, 0.34 * widest), 1.8 + min(12.0, 0.32 * generations)), layout="constrained")
    axes = figure.add_subplot()
    size = min(46.0, 4 + 4200 / max(widest, generations) ** 1.45)
    _draw_branches(axes, history, places, generations, size)
    _draw_nodes(axes, history, places, generations, size)
    axes.set_ylim(generations - 0.4, -0.6)
    axes.set_xlim(-0.9, widest - 0.1)
    axes.set_xticks([])
    axes.yaxis.set_major_locator(MaxNLocator(12, integer=True, min_n_ticks=1))
    axes.set_ylabel("generation")
    axes.spines[["top", "right", "bottom", "left"]].set_visible(False)
    axes.tick_params(length=0, colors="#5c6270")
    axes.set_title(title, loc="left", fontweight="bold")
    figure.legend(handles=_tree_legend(history), loc="outside lower center", ncols=3, frameon=False, fontsize=8.5)
    return figure


def tree_layout(history: History) -> dict[int, tuple[float, int]]:
    """Proposal id -> (x, generation). Each generation is ordered as its parents are, so no two branches cross.

    Then lines are drawn straight: nodes move towards their parent and children, living ones with more force, as far as
    order and a spacing of 1 allow. A line of descent that grows pushes the others aside.
    """
    rows = _ordered(history)
    width = 1.3 * max((len(row) for row in rows), default=0)
    parents = {trial.proposal.id: trial.proposal.parent for trial in history.trials}
    children: dict[int, list[int]] = {proposal: [] for proposal in parents}
    for child, parent in parents.items():
        if parent is not None:
            children[parent].append(child)
    living = _living(history)
    force = {proposal: 5.0 if proposal in living else 0.5 for proposal in parents}
    x = {p: place + (width - len(row)) / 2 for row in rows for place, p in enumerate(row)}
    for sweep in range(SWEEPS):
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            anchors: list[float] = []
            for proposal in row:
                parent = parents[proposal]
                near = children[proposal] if parent is None else [parent, *children[proposal]]
                forces = [force[other] for other in near]
                anchors.append(float(np.average([x[n] for n in near], weights=forces)) if near else x[proposal])
            x.update(zip(row, _spaced(anchors, [force[p] for p in row], width), strict=True))
    return {proposal: (x[proposal], generation) for generation, row in enumerate(rows) for proposal in row}


def _ordered(history: History) -> list[list[int]]:
    """Proposal ids of each generation from left to right. A member that starts anew stands where it stood before."""
    weight = _descendants(history)
    by_generation: dict[int, list[Trial]] = {}
    for trial in history.trials:
        by_generation.setdefault(trial.proposal.generation, []).append(trial)
    rows: list[list[int]] = []
    rank: dict[int, int] = {}
    rank_of_member: dict[int, int] = {}
    for _, trials in sorted(by_generation.items()):
        middle = (len(trials) - 1) / 2
        families: dict[int, list[int]] = {}
        for trial in trials:
            parent = trial.proposal.parent
            place = rank_of_member.get(trial.proposal.member, 0) if parent is None else rank[parent]
            families.setdefault(place, []).append(trial.proposal.id)
        row = [child for place in sorted(families) for child in _hill(families[place], weight, place > middle)]
        rows.append(row)
        rank.update({proposal: place for place, proposal in enumerate(row)})
        rank_of_member.update({trial.proposal.member: rank[trial.proposal.id] for trial in trials})
    return rows


def _descendants(history: History) -> dict[int, int]:
    """How many proposals descend from each, itself counted; those on the winner's line outweigh all others."""
    weight = {trial.proposal.id: 1 for trial in history.trials}
    for trial in reversed(history.trials):
        if trial.proposal.parent is not None:
            weight[trial.proposal.parent] += weight[trial.proposal.id]
    winning = [] if history.chosen is None else line_of_descent(history, history.chosen)
    return {proposal: count + (len(weight) if proposal in winning else 0) for proposal, count in weight.items()}


def _hill(family: list[int], weight: Mapping[int, int], mirrored: bool) -> list[int]:
    """The heaviest in the middle, the others down to either side."""
    ascending = sorted(family, key=lambda child: (weight[child], child))
    hill = ascending[::2] + ascending[1::2][::-1]
    return hill[::-1] if mirrored else hill


def _spaced(anchors: Sequence[float], forces: Sequence[float], width: float) -> list[float]:
    """Places in order, 1 apart at least, inside [0, width - 1], nearest to `anchors` in weighted least squares.

    Pool adjacent violators on anchor minus index, whose solution need only not fall; clipping keeps it the best.
    """
    blocks: list[tuple[float, float, int]] = []  # mean, force, size
    for index, (anchor, force) in enumerate(zip(anchors, forces, strict=True)):
        mean, pooled, size = anchor - index, force, 1
        while blocks and blocks[-1][0] > mean:
            other, other_force, count = blocks.pop()
            mean = (mean * pooled + other * other_force) / (pooled + other_force)
            pooled, size = pooled + other_force, size + count
        blocks.append((mean, pooled, size))
    level = [mean for mean, _, size in blocks for _ in range(size)]
    return [float(np.clip(mean, 0, width - len(anchors))) + index for index, mean in enumerate(level)]


def _living(history: History) -> set[int]:
    """Proposals that have a descendant in the newest generation."""
    newest = max((trial.proposal.generation for trial in history.trials), default=0)
    living: set[int] = set()
    for trial in reversed(history.trials):
        if trial.proposal.generation == newest and trial.result.failure is None:
            living.add(trial.proposal.id)
        if trial.proposal.id in living and trial.proposal.parent is not None:
            living.add(trial.proposal.parent)
    return living


def _faded(colour: tuple[float, ...], lives: bool) -> tuple[float, float, float]:
    """Mixed with white rather than see-through, so that lines that meet do not darken."""
    red, green, blue = (channel if lives else 0.4 * channel + 0.6 for channel in colour[:3])
    return red, green, blue


def _draw_branches(axes: Axes, history: History, places: Mapping[int, tuple[float, int]], generations: int, size: float) -> None:
    living = _living(history)
    winning = set() if history.chosen is None else set(line_of_descent(history, history.chosen))
    bend = np.linspace(0, 1, 16)
    width = max(0.9, size**0.5 / 4.2)
    for rank, wanted in enumerate(("faded", "living", "winning")):
        lines: list[Floats] = []
        colours: list[tuple[float, float, float]] = []
        for trial in history.trials:
            child, parent = trial.proposal.id, trial.proposal.parent
            if parent is None or wanted != ("winning" if child in winning else "living" if child in living else "faded"):
                continue
            (x_0, y_0), (x_1, y_1) = places[parent], places[child]
            x = x_0 + (x_1 - x_0) * bend**2 * (3 - 2 * bend)
            lines.append(np.column_stack([x, y_0 + (y_1 - y_0) * bend]))
            colour = to_rgb(INK) if wanted == "winning" else GENERATIONS(y_1 / max(1, generations - 1))
            colours.append(_faded(colour, wanted != "faded"))
        thick = width * 2.2 if wanted == "winning" else width
        axes.add_collection(LineCollection(lines, colors=colours, linewidths=thick, capstyle="round", zorder=1 + rank))


def _draw_nodes(axes: Axes, history: History, places: Mapping[int, tuple[float, int]], generations: int, size: float) -> None:
    living = _living(history)
    winning = [] if history.chosen is None else line_of_descent(history, history.chosen)
    whole = [trial.proposal.id for trial in history.trials if trial.result.failure is None]
    failed = [trial.proposal.id for trial in history.trials if trial.result.failure is not None]

    def colour(proposal: int) -> tuple[float, float, float]:
        return _faded(GENERATIONS(places[proposal][1] / max(1, generations - 1)), proposal in living)

    axes.scatter(*_columns(places, whole), size, c=[colour(p) for p in whole], linewidths=0, zorder=4)
    axes.scatter(*_columns(places, failed), size, c="#6b7280", marker="x", linewidths=1, zorder=4)
    if winning:
        rim = max(0.7, size**0.5 / 5)
        shades = [colour(proposal) for proposal in winning[:-1]]
        axes.scatter(*_columns(places, winning[:-1]), size * 1.5, c=shades, edgecolors=INK, linewidths=rim, zorder=5)
        end = _columns(places, winning[-1:])
        axes.scatter(*end, max(120.0, size * 7), c=INK, marker="*", edgecolors="white", linewidths=0.8, zorder=6)


def _columns(places: Mapping[int, tuple[float, int]], proposals: Sequence[int]) -> tuple[list[float], list[float]]:
    return [places[proposal][0] for proposal in proposals], [float(places[proposal][1]) for proposal in proposals]


def _tree_legend(history: History) -> list[Line2D]:
    def node(colour: str, label: str, **style: object) -> Line2D:
        return Line2D([], [], color=colour, label=label, **{"marker": "o", "linestyle": "", **style})  # type: ignore[arg-type]

    handles = [node("#f7a1c4", "first generation"), node("#2a62c9", "last generation"), node("#dcdce6", "died out")]
    if history.chosen is not None:
        handles.append(node(INK, "the winner and its ancestors", marker="*", markersize=10, linestyle="-", linewidth=2.4))
    if any(trial.result.failure is not None for trial in history.trials):
        handles.append(node("#6b7280", "failed", marker="x"))
    return handles


def winners_returns(histories: Mapping[str, Sequence[History]], *, random_policy: Sequence[float] = ()) -> Figure:
    """Every test episode of each seed's winner, the seeds' means, and the method's mean with its 95 % interval."""
    figure = Figure(figsize=(1.6 + 2.4 * max(2, len(histories)), 5), layout="constrained")
    axes = figure.add_subplot()
    for place, (of_method, colour) in enumerate(zip(histories.values(), _colours(histories), strict=True)):
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
