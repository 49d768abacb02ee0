"""The phylogeny of a population over its scores, better ones higher, as Jaderberg 2017 shows that of its GANs."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rl_pbt.records import TRAINING_SCORE, Trial
from rl_pbt.report.family_tree import DIED_OUT, FIRST, LAST, faded, has_tree, shades_of
from rl_pbt.report.style import INK, clean, legend_below
from rl_pbt.report.tree_layout import Places
from rl_pbt.store.descent import surviving, winning_line
from rl_pbt.store.history import History
from rl_pbt.tasks.words import Words

WIDEST, HEIGHT = 11.0, 6.5  # inches


def has_score_tree(history: History) -> bool:
    """Whether there is a tree with meaningful heights: one whose members were evaluated as thoroughly as needed, at no cost.

    With the returns of a few episodes it would be a tangle, whether they were evaluation episodes or those of training.
    """
    by_training = any(TRAINING_SCORE in trial.result.metrics for trial in history.trials)
    return has_tree(history) and history.cost.eval_units == 0 and not by_training


def score_tree(history: History, places: Places, *, words: Words, title: str) -> Figure:
    """One node per proposal, at the height of its score, pink in the first generation and blue in the last.

    A line leads from each parent, so lines part where a member was copied. What left no descendant is faded; the winner's line is
    dark. Relatives are side by side. Proposals without a score, such as those that failed, are left out. `places` are those of
    `tree_layout`.
    """
    scores = _scores(history)
    rows = 1 + max((row for _, row in places.values()), default=0)
    shown = {proposal: (places[proposal][0], score) for proposal, score in scores.items()}
    widest = 1 + max((x for x, _ in shown.values()), default=0.0)
    figure = Figure(figsize=(3.0 + min(WIDEST - 3.0, 0.3 * widest), HEIGHT), layout="constrained")
    axes = figure.add_subplot()
    _draw_lines(axes, history, shown, places, rows)
    _draw_nodes(axes, history, shown, places, rows)
    axes.autoscale_view()
    clean(axes, counts_on_x=False)
    axes.grid(False, axis="x")
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.set_ylabel(f"fitness ({words.score})")
    axes.set_title(title, loc="left", fontweight="bold", wrap=True)
    legend_below(figure, _legend(history), size=8.5)
    return figure


def _scores(history: History) -> dict[int, float]:
    return {trial.proposal.id: score for trial in history.trials if (score := trial.result.score) is not None}


def _draw_lines(axes: Axes, history: History, shown: Mapping[int, tuple[float, float]], places: Places, rows: int) -> None:
    kept, shades = surviving(history), shades_of(rows)
    winning = {trial.proposal.id for trial in winning_line(history)}
    kinds: dict[str, list[Trial]] = {"faded": [], "surviving": [], "winning": []}
    for trial in history.trials:
        child, parent = trial.proposal.id, trial.proposal.parent
        if child in shown and parent in shown:
            kinds["winning" if child in winning else "surviving" if child in kept else "faded"].append(trial)
    for rank, (kind, trials) in enumerate(kinds.items()):
        lines = [[shown[parent], shown[trial.proposal.id]] for trial in trials if (parent := trial.proposal.parent) is not None]
        colours = [
            to_rgb(INK) if kind == "winning" else faded(shades[places[trial.proposal.id][1]], kind == "surviving")
            for trial in trials
        ]
        width = 2.4 if kind == "winning" else 1.1
        axes.add_collection(LineCollection(lines, colors=colours, linewidths=width, capstyle="round", zorder=1 + rank))


def _draw_nodes(axes: Axes, history: History, shown: Mapping[int, tuple[float, float]], places: Places, rows: int) -> None:
    kept, shades = surviving(history), shades_of(rows)
    size = max(5.0, min(30.0, 6000 / max(1, len(shown))))
    for survives in (False, True):
        drawn = [proposal for proposal in shown if (proposal in kept) == survives]
        colours = [faded(shades[places[proposal][1]], survives) for proposal in drawn]
        x, y = ([shown[proposal][axis] for proposal in drawn] for axis in (0, 1))
        axes.scatter(x, y, size, c=colours, linewidths=0, zorder=4 + survives)
    if history.chosen is not None and history.chosen in shown:
        axes.scatter(*shown[history.chosen], 150, c=INK, marker="*", edgecolors="white", linewidths=0.8, zorder=6)


def _legend(history: History) -> list[Line2D]:
    def node(colour: str, label: str) -> Line2D:
        return Line2D([], [], color=colour, label=label, marker="o", linestyle="")

    handles = [node(FIRST, "first generation"), node(LAST, "last generation"), node(DIED_OUT, "died out")]
    if history.chosen is not None:
        winner = Line2D([], [], color=INK, marker="*", markersize=10, linewidth=2.4, label="the winner and its ancestors")
        handles.append(winner)
    return handles
