"""The family tree of a population, which can be zoomed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import to_hex

from rl_pbt.records import Trial
from rl_pbt.report.family_tree import FAILED, GENERATIONS
from rl_pbt.report.style import GREY
from rl_pbt.report.tree_layout import Places
from rl_pbt.report.web.figures import NUMBER, WINNER, Column, counts, empty_figure, hover, label, numbers, score_of
from rl_pbt.store.descent import surviving, winning_line
from rl_pbt.store.history import History
from rl_pbt.text import NOTHING, value_text

if TYPE_CHECKING:
    from bokeh.core.property.vectorization import Field
    from bokeh.models import ColumnDataSource, GlyphRenderer
    from bokeh.plotting import figure

SMALLEST, LARGEST = 0.13, 0.33  # radius of a node; its neighbours are 1 away
LOWEST, TALLEST, ROW = 260, 760, 34  # heights of the figure and of a row, in pixels
MOST_BENT = 4000  # branches of a kind; if there are more, they are straight and in one colour, and so drawn as one line
SHADES = 64


def tree_figure(history: History, places: Places) -> figure:
    """One node per proposal, time downwards, the first generation pink and the last blue, larger the fitter it is.

    The winner's line is highlighted. `places` are those of `tree_layout`.
    """
    from bokeh.models import ColumnDataSource, Range1d, WheelZoomTool  # noqa: PLC0415 - with all of Bokeh

    generations = 1 + max(row for _, row in places.values())
    widest = 1 + max(x for x, _ in places.values())
    made = empty_figure(min(TALLEST, max(LOWEST, 90 + ROW * generations)), tools=("pan", "reset", "save"))
    made.x_range = Range1d(-0.9, widest - 0.1)
    made.y_range = Range1d(generations - 0.4, -0.6)
    made.xaxis.visible = made.xgrid.visible = made.ygrid.visible = False
    made.yaxis.axis_label = "generation"
    made.yaxis.ticker.min_interval = 1
    kinds = _kinds(history)
    sources = {kind: ColumnDataSource(_columns(history, places, trials)) for kind, trials in kinds.items()}
    for kind, source in sources.items():
        if len(kinds[kind]) <= MOST_BENT:
            _draw_branches(made, kind, source, generations)
        else:
            _draw_chains(made, kind, places, kinds[kind])
    nodes = {kind: _draw_nodes(made, kind, source, generations) for kind, source in sources.items()}
    _add_tooltips(made, history, nodes)
    zoom = WheelZoomTool(zoom_on_axis=False)
    made.add_tools(zoom)
    made.toolbar.active_scroll = zoom
    made.toolbar.active_drag = made.tools[0]
    made.toolbar.autohide = False
    return made


def _kinds(history: History) -> dict[str, list[Trial]]:
    """Trials by how they are drawn, the last kind on top; kinds without trials are left out."""
    kept, winning = surviving(history), {trial.proposal.id for trial in winning_line(history)}
    kinds: dict[str, list[Trial]] = {"died out": [], "failed": [], "surviving": [], "winning": []}
    for trial in history.trials:
        if trial.result.failure is not None:
            kinds["failed"].append(trial)
        elif trial.proposal.id in winning:
            kinds["winning"].append(trial)
        else:
            kinds["surviving" if trial.proposal.id in kept else "died out"].append(trial)
    return {kind: trials for kind, trials in kinds.items() if trials}


def _formats(history: History) -> dict[str, str]:
    """The format of each hyperparameter in a tooltip; words and integers are shown as they are."""
    first = history.trials[0].proposal.hypers
    real = {name for name in first if all(isinstance(trial.proposal.hypers[name], float) for trial in history.trials)}
    return {name: NUMBER if name in real else "" for name in first}


def _columns(history: History, places: Places, trials: Sequence[Trial]) -> dict[str, Column]:
    """Columns with one row per trial: its node, its branch from the parent, and the content of its tooltip."""
    proposals = [trial.proposal for trial in trials]
    ends = [places[proposal.id] for proposal in proposals]
    donors = [history.lineage.donor(proposal) for proposal in proposals]
    columns: dict[str, Column] = {
        "x": numbers([x for x, _ in ends]),
        "row": counts([row for _, row in ends]),
        "member": counts([proposal.member for proposal in proposals]),
        "generation": counts([proposal.generation for proposal in proposals]),
        "donor": [NOTHING if donor is None else f"member {donor.member}" for donor in donors],
    }
    if len(trials) <= MOST_BENT:
        starts = [places[proposal.id if proposal.parent is None else proposal.parent] for proposal in proposals]
        columns["parent_x"] = numbers([x for x, _ in starts])
        columns["parent_row"] = counts([row for _, row in starts])
        columns["middle"] = numbers([(end + start) / 2 for (_, end), (_, start) in zip(ends, starts, strict=True)])
    if trials[0].result.failure is None:
        radius = _radii(history)
        columns["fitness"] = numbers([score_of(trial) for trial in trials])
        columns["radius"] = numbers([radius[proposal.id] for proposal in proposals])
    else:
        columns["failure"] = [label(trial.result.failure or "") for trial in trials]
    for index, (name, form) in enumerate(_formats(history).items()):
        values = [proposal.hypers[name] for proposal in proposals]
        columns[f"h{index}"] = numbers([float(value) for value in values]) if form else [value_text(value) for value in values]
    return columns


def _radii(history: History) -> dict[int, float]:
    """The radius of each node, by the rank of its score among all, so that an outlier does not make all others look alike."""
    whole = [trial for trial in history.trials if trial.result.failure is None]
    fitness = {trial.proposal.id: trial.result.score for trial in whole if trial.result.score is not None}
    _, ranks = np.unique(list(fitness.values()), return_inverse=True)
    share = ranks / max(1, ranks.max(initial=0))
    known = dict(zip(fitness, (SMALLEST + (LARGEST - SMALLEST) * share).tolist(), strict=True))
    return {trial.proposal.id: known.get(trial.proposal.id, SMALLEST) for trial in whole}


def _draw_branches(made: figure, kind: str, source: ColumnDataSource, generations: int) -> None:
    wide = {"winning": 3.5, "surviving": 1.6}.get(kind, 1.0)
    ends = {"x0": "parent_x", "y0": "parent_row", "x1": "x", "y1": "row"}
    bends = {"cx0": "parent_x", "cy0": "middle", "cx1": "x", "cy1": "middle"}
    made.bezier(
        **ends,
        **bends,
        source=source,
        line_color={"winning": WINNER, "surviving": _colour(generations)}.get(kind, GREY),
        line_alpha=1.0 if kind in ("winning", "surviving") else 0.35,
        line_width=wide if generations <= 60 else 0.6 * wide,
    )


def _draw_chains(made: figure, kind: str, places: Places, trials: Sequence[Trial]) -> None:
    """Draw the branches as few long lines: a child continues the line of its parent, unless a sibling already has."""
    line_to: dict[int, list[tuple[float, float]]] = {}  # the line that ends at a proposal
    lines: list[list[tuple[float, float]]] = []
    for proposal in (trial.proposal for trial in trials):
        parent = proposal.parent
        line = None if parent is None else line_to.pop(parent, None)
        if line is None:
            line = [] if parent is None else [places[parent]]
            lines.append(line)
        line.append(places[proposal.id])
        line_to[proposal.id] = line
    gap = (float("nan"), float("nan"))
    points = [point for line in lines for point in (*line, gap)]
    made.line(
        numbers([x for x, _ in points]),
        numbers([row for _, row in points]),
        line_color=WINNER if kind == "winning" else GREY,
        line_alpha=0.8 if kind in ("winning", "surviving") else 0.35,
        line_width=0.7,
    )


def _draw_nodes(made: figure, kind: str, source: ColumnDataSource, generations: int) -> GlyphRenderer:
    if kind == "failed":
        return made.scatter("x", "row", source=source, marker="x", size=7, line_color=FAILED, line_width=1.5)
    nodes = made.circle(
        "x",
        "row",
        radius="radius",
        radius_dimension="min",
        source=source,
        fill_color=_colour(generations),
        fill_alpha=0.4 if kind == "died out" else 1.0,
        line_color=WINNER if kind == "winning" else None,
        line_width=2,
        hit_dilation=1.6,
    )
    if kind == "winning":
        end = {column: source.data[column][-1:] for column in ("x", "row")}
        made.scatter("x", "row", source=end, marker="star", size=22, fill_color=WINNER, line_color="white")
    return nodes


def _add_tooltips(made: figure, history: History, nodes: Mapping[str, GlyphRenderer]) -> None:
    first = [("member", "@member"), ("generation", "@generation")]
    last = [("copied", "@donor"), *((name, f"@h{index}{form}") for index, (name, form) in enumerate(_formats(history).items()))]
    whole = [node for kind, node in nodes.items() if kind != "failed"]
    made.add_tools(hover([*first, ("fitness", f"@fitness{NUMBER}"), *last], whole))
    if "failed" in nodes:
        made.add_tools(hover([*first, ("failed", "@failure"), *last], [nodes["failed"]]))


def _colour(generations: int) -> Field:
    """The colour of each node, by generation."""
    from bokeh.transform import linear_cmap  # noqa: PLC0415 - with all of Bokeh

    palette = [to_hex(GENERATIONS(shade / (SHADES - 1))) for shade in range(SHADES)]
    return linear_cmap("generation", palette, 0, max(1, generations - 1))
