"""The phylogeny of a population, after the lineage figure of Jaderberg 2017."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from rl_pbt.arrays import Floats
from rl_pbt.records import Trial
from rl_pbt.report.style import INK, legend_below
from rl_pbt.report.tree_layout import Places
from rl_pbt.store.descent import copies, surviving, winning_line
from rl_pbt.store.history import History

FIRST, LAST = "#f7a1c4", "#2a62c9"  # generation
GENERATIONS = LinearSegmentedColormap.from_list("generations", [FIRST, "#c77bc8", "#7f6fd0", LAST])
DIED_OUT, FAILED, TICKS = "#dcdce6", "#6b7280", "#5c6270"
LEAST_AREA = 0.25  # the area of the least fit of a row, as a share of the fittest's
MOST_NODES = 30_000  # in a readable tree: 64 members and 400 generations, which takes half a minute to draw


def has_tree(history: History) -> bool:
    """Whether there is a tree to draw: some member was copied, and there are not too many nodes to be seen."""
    return bool(copies(history)) and len(history.trials) <= MOST_NODES


def family_tree(history: History, places: Places, *, title: str) -> Figure:
    """One node per proposal, time downwards, the first generation pink and the last blue, larger the fitter it is in its row.

    Lines that left no descendant are faded; the winner's is dark. `places` are those of `tree_layout`.
    """
    generations = 1 + max((row for _, row in places.values()), default=0)
    widest = 1 + max((x for x, _ in places.values()), default=0.0)
    figure = Figure(figsize=(2.2 + min(9.0, 0.34 * widest), 1.8 + min(12.0, 0.32 * generations)), layout="constrained")
    axes = figure.add_subplot()
    size = min(46.0, 4 + 4200 / max(widest, generations) ** 1.45)
    _draw_branches(axes, history, places, generations, size)
    _draw_nodes(axes, history, places, generations, size)
    axes.set_ylim(generations - 0.4, -0.6)
    axes.set_xlim(-0.9, widest - 0.1)
    axes.set_xticks([])
    axes.set_yticks(_generation_ticks(generations))
    axes.set_ylabel("generation")
    axes.spines[["top", "right", "bottom", "left"]].set_visible(False)
    axes.tick_params(length=0, colors=TICKS)
    axes.set_title(title, loc="left", fontweight="bold", wrap=True)
    legend_below(figure, _tree_legend(history), size=8.5)
    return figure


def shades_of(generations: int) -> list[tuple[float, float, float]]:
    """The colour of each row."""
    return [to_rgb(GENERATIONS(row / max(1, generations - 1))) for row in range(generations)]


def faded(colour: tuple[float, float, float], kept: bool) -> tuple[float, float, float]:
    """The colour, mixed with white unless `kept`; not transparent, so that overlapping lines do not get darker."""
    red, green, blue = (channel if kept else 0.4 * channel + 0.6 for channel in colour)
    return red, green, blue


def _draw_branches(axes: Axes, history: History, places: Places, generations: int, size: float) -> None:
    kept = surviving(history)
    winning = {trial.proposal.id for trial in winning_line(history)}
    bend, shades = np.linspace(0, 1, 16), shades_of(generations)
    width = max(0.9, size**0.5 / 4.2)
    for rank, wanted in enumerate(("faded", "surviving", "winning")):
        lines: list[Floats] = []
        colours: list[tuple[float, float, float]] = []
        for trial in history.trials:
            child, parent = trial.proposal.id, trial.proposal.parent
            if parent is None or wanted != ("winning" if child in winning else "surviving" if child in kept else "faded"):
                continue
            (x_0, y_0), (x_1, y_1) = places[parent], places[child]
            x = x_0 + (x_1 - x_0) * bend**2 * (3 - 2 * bend)
            lines.append(np.column_stack([x, y_0 + (y_1 - y_0) * bend]))
            colour = to_rgb(INK) if wanted == "winning" else shades[y_1]
            colours.append(faded(colour, wanted != "faded"))
        thick = width * 2.2 if wanted == "winning" else width
        axes.add_collection(LineCollection(lines, colors=colours, linewidths=thick, capstyle="round", zorder=1 + rank))


def _draw_nodes(axes: Axes, history: History, places: Places, generations: int, size: float) -> None:
    kept = surviving(history)
    winning = [trial.proposal.id for trial in winning_line(history)]
    whole = [trial.proposal.id for trial in history.trials if trial.result.failure is None]
    failed = [trial.proposal.id for trial in history.trials if trial.result.failure is not None]

    shades = shades_of(generations)

    def colour(proposal: int) -> tuple[float, float, float]:
        return faded(shades[places[proposal][1]], proposal in kept)

    share = _fitness_ranks(history, places)
    areas = [size * (LEAST_AREA + (1 - LEAST_AREA) * share[p]) for p in whole]
    axes.scatter(*_columns(places, whole), areas, c=[colour(p) for p in whole], linewidths=0, zorder=4)
    axes.scatter(*_columns(places, failed), size, c=FAILED, marker="x", linewidths=1, zorder=4)
    if winning:
        rim = max(0.7, size**0.5 / 5)
        shades = [colour(proposal) for proposal in winning[:-1]]
        areas = [1.5 * size * (LEAST_AREA + (1 - LEAST_AREA) * share[p]) for p in winning[:-1]]
        axes.scatter(*_columns(places, winning[:-1]), areas, c=shades, edgecolors=INK, linewidths=rim, zorder=5)
        end = _columns(places, winning[-1:])
        axes.scatter(*end, max(120.0, size * 7), c=INK, marker="*", edgecolors="white", linewidths=0.8, zorder=6)


def _fitness_ranks(history: History, places: Places) -> dict[int, float]:
    """For each proposal that did not fail, its score's rank in its row, from 0 (lowest) to 1 (highest); 0 without a score."""
    rows: dict[int, list[Trial]] = {}
    for trial in history.trials:
        if trial.result.failure is None:
            rows.setdefault(places[trial.proposal.id][1], []).append(trial)
    ranks: dict[int, float] = {}
    for trials in rows.values():
        ordered = sorted({score for trial in trials if (score := trial.result.score) is not None})
        top = max(1, len(ordered) - 1)
        place = {score: index / top if len(ordered) > 1 else 1.0 for index, score in enumerate(ordered)}
        ranks |= {t.proposal.id: 0.0 if t.result.score is None else place[t.result.score] for t in trials}
    return ranks


def _generation_ticks(generations: int) -> list[int]:
    """The generations that are labelled on the axis: a dozen at most, including the last."""
    ticks = [int(tick) for tick in MaxNLocator(12, integer=True, min_n_ticks=1).tick_values(0, generations - 1)]
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1
    last = generations - 1
    return [*(tick for tick in ticks if 0 <= tick <= last - step / 2), last]


def _columns(places: Places, proposals: Sequence[int]) -> tuple[list[float], list[float]]:
    return [places[proposal][0] for proposal in proposals], [float(places[proposal][1]) for proposal in proposals]


def _tree_legend(history: History) -> list[Line2D]:
    def node(colour: str, label: str, **style: object) -> Line2D:
        return Line2D([], [], color=colour, label=label, **{"marker": "o", "linestyle": "", **style})  # type: ignore[arg-type]

    handles = [node(FIRST, "first generation"), node(LAST, "last generation"), node(DIED_OUT, "died out")]
    handles.append(node(DIED_OUT, "small: unfit in its row", markersize=3))
    if history.chosen is not None:
        handles.append(node(INK, "the winner and its ancestors", marker="*", markersize=10, linestyle="-", linewidth=2.4))
    if any(trial.result.failure is not None for trial in history.trials):
        handles.append(node(FAILED, "failed", marker="x"))
    return handles
