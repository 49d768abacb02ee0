"""The schedule of each hyperparameter, as figures of the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rl_pbt.records import Trial
from rl_pbt.report.schedules import fitness_label, on_log_scale
from rl_pbt.report.style import GREY
from rl_pbt.report.web.figures import DASHES, NUMBER, WINNER, counts, counts_on_x, empty_figure, hover, label, numbers, score_of
from rl_pbt.space import Dimension, Space
from rl_pbt.store.descent import copies, lifetime, winning_line
from rl_pbt.store.history import History
from rl_pbt.tasks.words import Words
from rl_pbt.text import value_text

if TYPE_CHECKING:
    from bokeh.plotting import figure

HEIGHT = 210  # pixels


def schedule_figures(history: History, space: Space, words: Words) -> list[figure]:
    """One figure per hyperparameter, over a member's own training units: every member faint, the winner's line of descent bold.

    They move and zoom together along the units.
    """
    from bokeh.models import Range1d  # noqa: PLC0415 - with all of Bokeh

    healthy = [trial for trial in history.trials if trial.result.failure is None]
    if not healthy:
        return []
    shared = Range1d(0, 1.02 * max(trial.result.lineage_units for trial in healthy))
    made = []
    for name, dimension in space.dimensions.items():
        if searched := [trial for trial in healthy if name in trial.proposal.hypers]:
            made.append(_schedule(history, searched, name, dimension, words))
            made[-1].x_range = shared
    return made


def _schedule(history: History, trials: Sequence[Trial], name: str, dimension: Dimension, words: Words) -> figure:
    axis = dimension.axis(name)
    stretches = _stretches(history, trials, name)
    heights = [dimension.plotted(trial.proposal.hypers[name]) for trial, _, _ in stretches]
    logarithmic = on_log_scale(axis, heights)
    made = empty_figure(HEIGHT, y_type="log" if logarithmic else "linear")
    counts_on_x(made, words.short_units)
    made.yaxis.axis_label = label(axis.label)
    if axis.ticks:
        made.yaxis.ticker = list(axis.ticks)
        made.yaxis.major_label_overrides = {place: label(text) for place, text in axis.ticks.items()}
    bounds = [dimension.plotted(bound) for bound in dimension.bounds]
    ends = _with_margin([*bounds, *heights, *(axis.ticks if not bounds else ())], logarithmic=logarithmic)
    made.y_range.start, made.y_range.end = ends[::-1] if axis.flipped else ends
    made.hspan(bounds, line_color=GREY, line_dash=DASHES, line_alpha=0.8)
    every = made.segment(
        "start",
        "height",
        "end",
        "height",
        source={
            "start": numbers([start for _, start, _ in stretches]),
            "end": numbers([end for _, _, end in stretches]),
            "height": numbers(heights),
            "member": counts([trial.proposal.member for trial, _, _ in stretches]),
            "value": [value_text(trial.proposal.hypers[name]) for trial, _, _ in stretches],
        },
        line_color=GREY,
        line_alpha=0.45,
    )
    made.add_tools(hover([(name, "@value"), ("member", "@member"), (words.units, "@start{%d} to @end{%d}")], [every]))
    _draw_winner(made, history, name, dimension)
    return made


def _stretches(history: History, trials: Sequence[Trial], name: str) -> list[tuple[Trial, int, int]]:
    """(first trial, start, end) of each stretch in which a member trained on with the same value."""
    unended: dict[int | None, tuple[Trial, int, int]] = {}  # by the last proposal of each stretch
    for trial in trials:
        start, end = lifetime(history, trial)
        first, parent = trial, trial.proposal.parent
        if parent in unended and _goes_on(unended[parent][0], trial, name):
            first, start, _ = unended.pop(parent)
        unended[trial.proposal.id] = (first, start, end)
    return list(unended.values())


def _goes_on(first: Trial, trial: Trial, name: str) -> bool:
    one, other = first.proposal, trial.proposal
    return one.member == other.member and one.hypers[name] == other.hypers[name]


def _with_margin(shown: Sequence[float], *, logarithmic: bool) -> tuple[float, float]:
    """The limits of an axis, a little below and a little above all that is shown."""
    low, high = min(shown), max(shown)
    if logarithmic and low > 0:
        factor = float((high / low) ** 0.06) if high > low else 2.0
        return low / factor, high * factor
    margin = 0.06 * (high - low) or 1.0
    return low - margin, high + margin


def _draw_winner(made: figure, history: History, name: str, dimension: Dimension) -> None:
    line = [trial for trial in winning_line(history) if name in trial.proposal.hypers]
    if not line:
        return
    edges = [lifetime(history, trial) for trial in line]
    heights = [dimension.plotted(trial.proposal.hypers[name]) for trial in line]
    columns = {
        "units": numbers([unit for edge in edges for unit in edge]),
        "height": np.repeat(numbers(heights), 2),
        "member": np.repeat(counts([trial.proposal.member for trial in line]), 2),
        "generation": np.repeat(counts([trial.proposal.generation for trial in line]), 2),
        "value": [value_text(trial.proposal.hypers[name]) for trial in line for _ in range(2)],
        "fitness": np.repeat(numbers([score_of(trial) for trial in line]), 2),
    }
    bold = made.line("units", "height", source=columns, line_color=WINNER, line_width=3, line_join="miter")
    copied = copies(history)
    dots = [place for place, trial in enumerate(line) if trial.proposal.id in copied]
    starts, at = [edges[place][0] for place in dots], [heights[place] for place in dots]
    made.scatter(starts, at, size=8, fill_color="white", line_color=WINNER, line_width=2)
    rows = [
        ("winner's line", "@value"),
        ("member", "@member"),
        ("generation", "@generation"),
        (label(fitness_label(history)), f"@fitness{NUMBER}"),
    ]
    made.add_tools(hover(rows, [bold]))
