"""What keeps PBT from being greedy, or from being inert: its settings varied one at a time, at a fixed total of frames.

    python -m benchmarks.exploration --out FILE.json
    python -m benchmarks.exploration --env NAME ... [--variant NAME ...] [--out FILE.json]

Environments, ranges, budgets, intervals and scales are those of cells of the suites `control` and `minatar`, and so is the
base: PBT as these suites have it. Every population trains on seeds 100 to 105, which no comparison uses: what is chosen here is
compared with random search on other seeds. What is found here is a choice, not evidence: six seeds can show only large
differences, and the best of many variants is a lucky one.

The rule, written before the first row was looked at, and carried out where no environment is named: all variants run on
`acrobot` and `mountain-car`. The base, the paper's setting and the six others with the highest mean normalised score over both
then run on `breakout` and `pendulum`, where a row takes longer. The suites' PBT becomes the variant with the highest mean over
all four if the 95 % interval of its lead over the base excludes zero; otherwise it stays the base. What `--methods pbt` does by
default becomes that setting if the interval of its lead over the paper's setting excludes zero too; otherwise it stays as it
is.

FILE.json keeps rows of earlier commits. Beside it, ENV/VARIANT holds the manifest and the compressed ledgers of each run; one
that was stopped resumes there. To measure a row again, delete both.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import product
from pathlib import Path
from statistics import fmean, median
from typing import Any, TypedDict

import rl_pbt
from benchmarks.measuring import Measurement, of_seeds, parser, read, run, trim
from rl_pbt.options import Settings
from rl_pbt.report.diagnostics import diagnostics_of, typical_reliability
from rl_pbt.report.statistics import difference_of
from rl_pbt.space import Space
from rl_pbt.store.descent import copies, founders, winning_line
from rl_pbt.store.history import History, read_history
from rl_pbt.store.run import RunFolder
from rl_pbt.suites.definition import Cell, find_suite
from rl_pbt.text import NOTHING, table

SEEDS = tuple(range(100, 106))
CELLS = {"acrobot": "control", "pendulum": "control", "mountain-car": "control", "breakout": "minatar"}
AT_FIRST = ("acrobot", "mountain-car")
FINALISTS = 6
BASE = "base"  # the cell's 20 or 40 intervals, a fifth of 8 members, factors 1.2 and 1/1.2, resampling 0.25
PAPER = "as in the paper"
OWN: Mapping[str, Settings] = {
    BASE: {},
    PAPER: {"factors": [0.8, 1.2], "resample_probability": 0.0},
    "no resampling": {"resample_probability": 0.0},
    "resampling 0.5": {"resample_probability": 0.5},
    "factors 0.5, 2": {"factors": [0.5, 2.0]},
    "factors 0.5, 2, no resampling": {"factors": [0.5, 2.0], "resample_probability": 0.0},
    "an eighth": {"fraction": 0.125},
    "half": {"fraction": 0.5},
    "copies beyond 1 sd": {"copy_margin": 1.0},
    "copies beyond 2 sd": {"copy_margin": 2.0},
    "tournament": {"methods": ["pbt-tournament"]},
    "t-test": {"methods": ["pbt-ttest"]},
    "training fitness": {"fitness": "training"},
}
INTERVALS = {f"{count} intervals": count for count in (5, 10, 40, 100)}
MEMBERS = {f"{members} members": members for members in (4, 16, 32)}  # with the same frames for all together
BURN_IN = "burn-in of a quarter"  # before it, no member copies
MULTI_FREQUENCY = {f"mf-pbt, {members} members": members for members in (16, 32)}
TWICE = "twice the episodes"
VARIANTS = (*OWN, *INTERVALS, *MEMBERS, BURN_IN, TWICE, *MULTI_FREQUENCY)


class Explored(TypedDict):
    """The results of one variant in one environment, by seed."""

    mean_test_returns: list[float]
    normalised: list[float]
    founders: list[int]  # with descendants at the end
    copies_on_the_line: list[int]  # of the winner
    last_learning_rate: list[float]  # the winner's
    generations: list[int]
    evaluation: list[float]  # its share of all frames
    reliability: float | None  # of fitness, typical of the second half of the generations (report.diagnostics)


def cell_of(env: str) -> Cell:
    """The suite's cell of that name."""
    return next(cell for cell in find_suite(CELLS[env]).cells if cell.name == env)


def settings_of(env: str, variant: str) -> dict[str, Any]:
    """All settings of a variant: those of the cell, with the same frames for all members together."""
    settings: dict[str, Any] = {**cell_of(env).settings, "methods": ["pbt"], "seeds": SEEDS, "anytime_tests": 0}
    members = {**MEMBERS, **MULTI_FREQUENCY}.get(variant, settings["population"])
    frames = settings["frames"] * settings["population"] // members
    intervals = INTERVALS.get(variant, settings["frames"] // settings["interval"])
    settings |= {"population": members, "frames": frames, "interval": frames // intervals}
    special: Mapping[str, Settings] = {
        BURN_IN: {"burn_in": frames // 4},
        TWICE: {"eval_episodes": 2 * settings["eval_episodes"]},
        **{name: {"methods": ["mf-pbt"]} for name in MULTI_FREQUENCY},
    }
    return {**settings, **special.get(variant, {}), **OWN.get(variant, {})}


def asked_of(env: str, variant: str) -> dict[str, Any]:
    """The settings as a file of results records them; an entry with other settings is made again."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in settings_of(env, variant).items()}


def explore(env: str, variant: str, kept: Path | None) -> Explored:
    """Run a variant in a folder of `kept`, and leave its ledgers there; in a temporary folder if there is none."""
    settings = settings_of(env, variant)
    first = next(name for name in VARIANTS if settings_of(env, name) == settings)  # 40 intervals are those of the base in places
    with _folder(kept and kept / env / first.replace(",", "").replace(" ", "-")) as folder:
        made = rl_pbt.bench(out=folder, quiet=True, **settings)
        (method,) = made.config.methods
        found = _found(cell_of(env), made.config.space, [read_history(RunFolder(folder), method, seed) for seed in SEEDS])
        trim(folder)
    return found


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        yield kept
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder) / "run"


def _found(cell: Cell, space: Space, histories: Sequence[History]) -> Explored:
    means = [fmean(history.test.returns) for history in histories if history.test is not None]
    diagnostics = [diagnostics_of(history, space) for history in histories]
    return {
        "mean_test_returns": means,
        "normalised": [cell.scale.normalised(mean) for mean in means],
        "founders": [founders(history) for history in histories],
        "copies_on_the_line": [_copies_on_the_line(history) for history in histories],
        "last_learning_rate": [float(winning_line(history)[-1].proposal.hypers["learning_rate"]) for history in histories],
        "generations": [len(one.founders) for one in diagnostics],
        "evaluation": [history.cost.eval_units / (history.cost.eval_units + history.cost.train_units) for history in histories],
        "reliability": typical_reliability(diagnostics, second_half=True),
    }


def _copies_on_the_line(history: History) -> int:
    copied = copies(history)
    return sum(trial.proposal.id in copied for trial in winning_line(history))


HEADER = ("environment", "variant", "mean test return", "normalised", "minus base", "95 % interval")
OF_LINES = ("founders", "copies on the winner's line", "winner's last learning rate")
OF_FITNESS = ("generations", "evaluation's share", "reliability")


def page(results: Mapping[str, Mapping[str, Explored]]) -> str:
    """A row for each variant in each environment, and one for each variant over all that have it; medians of the last columns."""
    found = [(env, variant, results[env][variant]) for env in CELLS for variant in VARIANTS if variant in results.get(env, {})]
    rows = [[env, *_row(variant, one, results[env].get(BASE))] for env, variant, one in found]
    over_all = table(("variant", "environments", *HEADER[3:]), _over_all(results))
    return table((*HEADER, *OF_LINES, *OF_FITNESS), rows) + "\n" + over_all


def _row(variant: str, one: Explored, base: Explored | None) -> list[str]:
    return [
        variant,
        f"{fmean(one['mean_test_returns']):.4g}",
        *_against(one["normalised"], base and base["normalised"]),
        f"{median(one['founders']):g}",
        f"{median(one['copies_on_the_line']):g}",
        f"{median(one['last_learning_rate']):.2g}",
        f"{median(one['generations']):g}",
        f"{median(one['evaluation']):.0%}",
        NOTHING if one["reliability"] is None else f"{one['reliability']:.2f}",
    ]


def _over_all(results: Mapping[str, Mapping[str, Explored]]) -> list[list[str]]:
    """A row for each variant, from each seed's mean over the environments that have both the variant and the base."""
    rows = []
    for variant in VARIANTS:
        if envs := [env for env in CELLS if {variant, BASE} <= set(results.get(env, {}))]:
            ours, base = (_mean_over(envs, results, name) for name in (variant, BASE))
            rows.append([variant, ", ".join(envs), *_against(ours, base)])
    return rows


def _mean_over(envs: Sequence[str], results: Mapping[str, Mapping[str, Explored]], variant: str) -> list[float]:
    return [fmean(of_seed) for of_seed in zip(*(results[env][variant]["normalised"] for env in envs), strict=True)]


def _against(ours: Sequence[float], base: Sequence[float] | None) -> list[str]:
    if base is None or base == ours:
        return [f"{fmean(ours):.3f}", NOTHING, NOTHING]
    difference = difference_of(of_seeds(ours), of_seeds(base))
    low, high = difference.interval or (difference.value, difference.value)
    return [f"{fmean(ours):.3f}", f"{difference.value:+.3f}", f"{low:+.3f} to {high:+.3f}"]


def by_the_rule(out: Path) -> Iterator[tuple[str, str]]:
    """(environment, variant) of all rows, the second half once the file `out` has the first."""
    yield from product(AT_FIRST, VARIANTS)
    yield from product([env for env in CELLS if env not in AT_FIRST], finalists(read(out)))


def finalists(results: Mapping[str, Mapping[str, Explored]]) -> list[str]:
    """The variants that run everywhere, from the results of all on the first environments."""
    made = [variant for variant in VARIANTS if all(variant in results.get(env, {}) for env in AT_FIRST)]
    others = [variant for variant in made if variant not in (BASE, PAPER)]
    best = sorted(others, key=lambda variant: fmean(_mean_over(AT_FIRST, results, variant)), reverse=True)[:FINALISTS]
    return [BASE, PAPER, *(variant for variant in others if variant in best)]


def main(words: Sequence[str] | None = None) -> None:
    """Run the variants that the rule or the command line names, write the file, print its page."""
    arguments = parser("exploration", __doc__)
    arguments.add_argument("--env", nargs="+", choices=list(CELLS), help="only these, whatever the rule says")
    arguments.add_argument("--variant", nargs="+", choices=VARIANTS, default=VARIANTS, help="only these; needs --env")
    args = arguments.parse_args(words)
    if args.env is None and (args.out is None or args.variant is not VARIANTS):
        arguments.error("without --env the rule says what runs, by the results in a file: name it with --out, and no --variant")
    todo = (
        Measurement(
            place=(env, variant),
            asked={"settings": asked_of(env, variant)},
            make=partial(explore, env, variant, args.out and args.out.parent),
        )
        for env, variant in (product(args.env, args.variant) if args.env else by_the_rule(args.out))
    )
    run(todo, out=args.out, page=page, of_any_commit=True)


if __name__ == "__main__":
    main()
