"""How the cost of a step grows with members, copies and frames.

    python -m benchmarks.growth [--repeats N] [--out FILE.json]

Training alone is timed, on one core. One of three numbers grows while the others stay: members of a group, copies per member,
updates per interval. A figure, FILE.png, is drawn beside the table.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from benchmarks.measuring import Entry, Measurement, Results, alone, parser, read, run, spread
from benchmarks.training import Setting, train
from rl_pbt.text import table

HYPERS = {"learning_rate": 1e-3, "entropy_cost": 0.01, "discount": 0.99}
BASES = (
    Setting(env="CartPole-v1", members=8, copies=16, unroll=8, updates=60),
    Setting(env="MinAtar/Breakout-v1", members=8, copies=16, unroll=8, updates=20),
)
MEMBERS, COPIES, UPDATES = (1, 2, 4, 8, 16, 32, 64), (4, 8, 16, 32, 64), (4, 16, 60, 240)
FEWEST_UPDATES = 8
MICROSECONDS = (5, 10, 20, 50, 100)  # marked on the axis


def grown(base: Setting) -> dict[str, list[Setting]]:
    """Settings by what grows in them. Those with many members or copies make fewer updates, so that no measurement takes long."""

    def fewer(setting: Setting) -> Setting:
        share = base.members * base.copies / (setting.members * setting.copies)
        return replace(setting, updates=max(FEWEST_UPDATES, round(base.updates * min(1.0, share))))

    return {
        "members": [fewer(replace(base, members=members)) for members in MEMBERS],
        "copies": [fewer(replace(base, copies=copies)) for copies in COPIES],
        "updates": [replace(base, updates=updates) for updates in UPDATES],
    }


def seconds(setting: Setting) -> float:
    """The seconds that one measurement takes."""
    return train(setting, HYPERS).wall_s


def measure(settings: Sequence[Setting], repeats: int) -> Entry:
    """Microseconds per step and milliseconds per update of each setting, all in turn, `repeats` times."""
    found: list[list[float]] = [[] for _ in settings]
    for repeat in range(repeats):
        for taken, setting in zip(found, settings, strict=True):
            print(f"repeat {repeat + 1} of {repeats}: {setting}", file=sys.stderr, flush=True)
            taken.append(alone(seconds, setting))
    return {
        "rows": [
            {
                "setting": asdict(setting),
                "us_a_step": asdict(spread([1e6 * one / setting.steps for one in taken])),
                "ms_an_update": asdict(spread([1e3 * one / setting.updates for one in taken])),
            }
            for setting, taken in zip(settings, found, strict=True)
        ]
    }


def page(results: Results) -> str:
    """The figures as a Markdown table."""
    header = ["environment", "what grows", "members x copies x updates", "us a step", "least to most", "ms an update"]
    rows = []
    for env, by_axis in results.items():
        for axis, entry in by_axis.items():
            for row in entry["rows"]:
                size = " x ".join(str(row["setting"][name]) for name in ("members", "copies", "updates"))
                step = row["us_a_step"]
                cells = [
                    f"{step['median']:.1f}",
                    f"{step['min']:.1f} to {step['max']:.1f}",
                    f"{row['ms_an_update']['median']:.1f}",
                ]
                rows.append([env, axis, size, *cells])
    return table(header, rows)


def draw(results: Results, path: Path) -> None:
    """Draw the cost of a step against what grows, one panel each."""
    from matplotlib.figure import Figure

    from rl_pbt.report.style import clean, colours, save

    axes_names = ("members", "copies", "updates")
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    for axes, axis in zip(figure.subplots(1, 3, sharey=True), axes_names, strict=True):
        for colour, (env, by_axis) in zip(colours(len(results)), results.items(), strict=True):
            rows = by_axis.get(axis, {"rows": []})["rows"]
            counts = [row["setting"][axis] for row in rows]
            axes.plot(counts, [row["us_a_step"]["median"] for row in rows], "o-", color=colour, label=env)
            lows, highs = ([row["us_a_step"][end] for row in rows] for end in ("min", "max"))
            axes.fill_between(counts, lows, highs, color=colour, alpha=0.15, linewidth=0)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        clean(axes, counts_on_x=False)
        axes.set_xticks(counts, map(str, counts))
        axes.set_yticks(MICROSECONDS, map(str, MICROSECONDS))
        axes.minorticks_off()
        axes.set_xlabel({"members": "members of a group", "copies": "copies a member", "updates": "updates an interval"}[axis])
    figure.axes[0].set_ylabel("microseconds a step")
    figure.axes[0].legend(frameon=False)
    save(figure, path)


def main(words: Sequence[str] | None = None) -> None:
    """Measure each environment, write the file and its figure, print its page."""
    arguments = parser("growth", __doc__)
    arguments.add_argument("--repeats", type=int, default=3, help="measurements of each size (default 3)")
    args = arguments.parse_args(words)
    todo = [
        Measurement(place=(base.env, axis), asked={"repeats": args.repeats}, make=partial(measure, settings, args.repeats))
        for base in BASES
        for axis, settings in grown(base).items()
    ]
    run(todo, out=args.out, page=page)
    if results := read(args.out):
        draw(results, args.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
