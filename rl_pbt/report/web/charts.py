"""The curves of a run and the test scores of its winners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from rl_pbt.arrays import Floats
from rl_pbt.report.baseline import is_far, reached
from rl_pbt.report.evidence import Histories
from rl_pbt.report.plots import curve_label, means_of, usual_range
from rl_pbt.report.statistics import mean_of
from rl_pbt.report.style import COLOURS, GREY, colours
from rl_pbt.report.web.figures import DASHES, MARGIN, NUMBER, Column, counts_on_x, empty_figure, hover, label
from rl_pbt.store.curves import anytime_curve, has_anytime_curve, standings
from rl_pbt.store.history import History
from rl_pbt.tasks.words import Words

if TYPE_CHECKING:
    from bokeh.plotting import figure

PLACES = 240  # points of a curve
MOST_DOTS = 3000  # of a method; if there are more, every second, third and so on is drawn
PARTS = ("best", "upper", "median", "lower")


def series(method: str) -> str:
    """The tag of all that is drawn for a method, so that `page.js` can hide it."""
    return f"series:{method}"


def learning_curves(histories: Mapping[str, Histories], words: Words) -> figure | None:
    """Fitness of each method's population against what it has spent; None if nothing is known yet.

    With several seeds: the means, and each seed's median faint. With many methods only medians are drawn, since nothing else
    could be told apart.
    """
    from bokeh.models import CrosshairTool  # noqa: PLC0415 - with all of Bokeh

    seeds = {method: [curve for h in by_seed.values() if len(curve := _curve(h))] for method, by_seed in histories.items()}
    known = {method: curves for method, curves in seeds.items() if curves}
    if not known:
        return None
    made = empty_figure(400)
    counts_on_x(made, words.short_units)
    made.yaxis.axis_label = label(f"fitness ({words.score})")
    first = min(curve[0, 0] for curves in known.values() for curve in curves)
    last = max(curve[-1, 0] for curves in known.values() for curve in curves)
    units = np.linspace(first, last, PLACES) if last > first else np.array([first])
    readings: dict[str, Floats] = {"units": units}
    rows = [(words.units, "@units{%d}")]
    shades = dict(zip(histories, colours(len(histories)), strict=True))
    for place, (method, curves) in enumerate(known.items()):
        means = np.mean([_at(units, curve) for curve in curves], axis=0)  # [part, place]
        means[:, units > max(curve[-1, 0] for curve in curves)] = np.nan  # beyond what this method spent
        _draw_population(made, units, means, curves, shades[method], series(method), whole=len(histories) <= len(COLOURS))
        readings |= {f"{part}_{place}": mean for part, mean in zip(PARTS, means, strict=True)}
        rows.append(
            (curve_label(method, histories[method].values()), f"median @median_{place}{NUMBER}, best @best_{place}{NUMBER}")
        )
    medians = np.concatenate([curve[:, 3] for curves in known.values() for curve in curves])
    readings["middle"] = np.full(len(units), (medians.min() + medians.max()) / 2)
    catcher = made.line("units", "middle", source=readings, line_alpha=0)  # invisible, for the tooltip wherever the mouse is
    made.add_tools(hover(rows, [catcher], mode="vline"), CrosshairTool(dimensions="height", line_color=GREY, line_alpha=0.5))
    return made


def _curve(history: History) -> Floats:
    """[round, units and parts]."""
    return np.array([(s.units, s.best, s.upper, s.median, s.lower) for s in standings(history)], dtype=np.float64)


def _at(units: Floats, curve: Floats) -> Floats:
    """[part, place], NaN before the curve begins. One that ended earlier than others keeps its last value."""
    return np.array([np.interp(units, curve[:, 0], part, left=np.nan) for part in curve.T[1:]])


def _draw_population(
    made: figure, units: Floats, means: Floats, curves: Sequence[Floats], colour: str, tag: str, *, whole: bool
) -> None:
    best, upper, median, lower = means
    drawn = []
    if whole:
        drawn.append(made.varea(units, lower, upper, fill_color=colour, fill_alpha=0.16))
        for curve in curves if len(curves) > 1 else ():
            drawn.append(made.line(curve[:, 0], curve[:, 3], line_color=colour, line_alpha=0.35, line_width=1))
        drawn.append(made.line(units, best, line_color=colour, line_width=1.2, line_dash=[5, 3]))
    drawn.append(made.line(units, median, line_color=colour, line_width=2.6))
    for renderer in drawn:
        renderer.tags = [tag]


def anytime_curves(histories: Mapping[str, Histories], words: Words, baseline: Sequence[float]) -> figure | None:
    """The leading member's mean test score against all units spent, one line per seed.

    None if no leader was tested before the end, or no test gave a score.
    """
    everything = [history for by_seed in histories.values() for history in by_seed.values()]
    if not has_anytime_curve(everything):
        return None
    made = empty_figure(320)
    counts_on_x(made, words.short_units)
    made.yaxis.axis_label = label(f"test {words.score}")
    dots = []
    for (method, by_seed), colour in zip(histories.items(), colours(len(histories)), strict=True):
        for seed, history in by_seed.items():
            if curve := anytime_curve(history):
                units, scores = zip(*curve, strict=True)
                told = {"units": units, "score": scores, "method": [label(method)] * len(curve), "seed": [seed] * len(curve)}
                line = made.line("units", "score", source=told, line_color=colour, line_width=1.8, line_alpha=0.8)
                dots.append(made.scatter("units", "score", source=told, size=8, fill_color=colour, line_color=None))
                line.tags = dots[-1].tags = [series(method)]
    if baseline:
        reached = [score for history in everything for _, score in anytime_curve(history)]
        _draw_baseline(made, float(np.mean(baseline)), (min(reached), max(reached)), words, upright=True)
    rows = [("method", "@method"), ("seed", "@seed"), (words.units, "@units{%d}"), (words.score, f"@score{NUMBER}")]
    made.add_tools(hover(rows, dots))
    return made


def test_scores(histories: Mapping[str, Histories], words: Words, baseline: Sequence[float]) -> figure | None:
    """One row per method: each test episode of each seed's winner, and their mean with 95 % interval; None before any test."""
    from bokeh.models import Range1d  # noqa: PLC0415 - with all of Bokeh

    tested = {
        method: {seed: h.test.returns for seed, h in by_seed.items() if h.test is not None and h.test.returns}
        for method, by_seed in histories.items()
    }
    ranges = [found for by_seed in tested.values() if (found := usual_range([v for values in by_seed.values() for v in values]))]
    if not ranges:
        return None
    shown = [end for limits in ranges for end in limits]
    shown += [end for by_seed in tested.values() for end in means_of(list(by_seed.values()))]
    low, high = reached((min(shown), max(shown)), baseline)
    made = empty_figure(90 + 64 * len(histories))
    made.y_range = Range1d(len(histories) - 0.45, -0.55)
    made.yaxis.ticker = list(range(len(histories)))
    made.yaxis.major_label_overrides = {row: label(method) for row, method in enumerate(histories)}
    made.ygrid.visible = False
    made.xaxis.axis_label = label(words.score)
    margin = 0.03 * (high - low) or 1.0
    ends = low - margin, high + margin
    made.x_range = Range1d(*ends)
    if baseline:
        _draw_baseline(made, float(np.mean(baseline)), (low, high), words, upright=False)
    for row, (by_seed, colour) in enumerate(zip(tested.values(), colours(len(histories)), strict=True)):
        if by_seed:
            _draw_scores(made, by_seed, row, colour, words, ends)
    return made


def _draw_baseline(made: figure, mean: float, ends: tuple[float, float], words: Words, *, upright: bool) -> None:
    """A line at the mean of the baseline beside scores between the ends, on an `upright` axis or one that lies; or at the edge
    its value, if a line would flatten the scores.
    """
    from bokeh.models import Label, Node  # noqa: PLC0415 - with all of Bokeh

    if not is_far(mean, ends):
        (made.hspan if upright else made.vspan)([mean], line_color=GREY, line_dash=DASHES, line_width=1.4)
        return
    below = mean < ends[0]
    arrow = ("▼" if below else "▲") if upright else ("◀" if below else "▶")
    right, bottom = not (upright or below), upright and below
    made.add_layout(
        Label(
            x=Node(target="frame", symbol="right" if right else "left"),
            y=Node(target="frame", symbol="bottom" if bottom else "top"),
            x_offset=-MARGIN if right else MARGIN,
            y_offset=MARGIN if bottom else -MARGIN,
            text=label(f"{arrow} {words.baseline}: {mean:.4g}"),
            text_align="right" if right else "left",
            text_baseline="bottom" if bottom else "top",
            text_color=GREY,
            text_font="system-ui, sans-serif",
            text_font_size="11px",
        )
    )


def _draw_scores(
    made: figure, by_seed: Mapping[int, Sequence[float]], row: int, colour: str, words: Words, ends: tuple[float, float]
) -> None:
    """Scores beyond the `ends` of the axis are drawn at its edge; their tooltips show the true score."""
    sizes = [len(values) for values in by_seed.values()]
    scores = np.concatenate([np.asarray(values, dtype=np.float64) for values in by_seed.values()])
    spread = (np.arange(len(scores)) * 0.618034) % 1 - 0.5  # evenly, and in the same way each time
    columns: dict[str, Column] = {
        "score": scores,
        "place": np.clip(scores, *ends),
        "row": row + 0.5 * spread,
        "seed": np.repeat(list(by_seed), sizes),
        "episode": np.concatenate([np.arange(1, size + 1) for size in sizes]),
    }
    points = {name: column[:: 1 + len(scores) // MOST_DOTS] for name, column in columns.items()}
    dots = made.scatter("place", "row", source=points, size=7, fill_color=colour, fill_alpha=0.38, line_color=None)
    estimate = mean_of(list(by_seed.values()))
    low, high = estimate.interval or (estimate.value, estimate.value)
    told = {"mean": [estimate.value], "row": [row + 0.38], "low": [low], "high": [high]}
    made.segment("low", "row", "high", "row", source=told, line_color=colour, line_width=3)
    middle = made.scatter("mean", "row", source=told, size=15, marker="diamond", fill_color=colour, line_color="white")
    made.add_tools(
        hover([(words.score, f"@score{NUMBER}"), ("seed", "@seed"), (words.episode, "@episode")], [dots]),
        hover([("mean", f"@mean{NUMBER}"), ("95 % interval", f"@low{NUMBER} to @high{NUMBER}")], [middle]),
    )
