"""All search methods on one environment under equal budgets, and the analyses of Jaderberg 2017, sec. 5.

    python -m benchmarks.comparison --env CartPole-v1 --out results/reference/comparison/cartpole-v1 [--seeds N] [BENCH FLAGS]

Three kinds of runs of `rl_pbt.bench` are made one after the other, and each resumes where it was stopped:

* `methods`: all methods;
* `population-P`: PBT and random search with other numbers of members, each of which has the same frames;
* `replay`: fresh weights trained along the schedule of the winner of the first one.

`--primary FIRST:SECOND` is declared by the runs that have both methods. Summaries are gathered in comparison.json, comparison.md
and up to two plots. Methods that the report refuses to compare with the first one are shown, but not ranked.

Once the last run has ended, `--trim` compresses the ledgers and deletes all else but manifests and summaries: checkpoints,
TensorBoard files, pages and plots. A trimmed run is not run again, and flags other than those it was made with are refused.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NotRequired, TypedDict

from matplotlib.figure import Figure

from benchmarks.measuring import EstimateJSON, estimate_cells, trim
from rl_pbt.errors import UserError
from rl_pbt.records import Fields
from rl_pbt.report.style import COLOURS, INK, clean, save
from rl_pbt.schedule import PREFIX
from rl_pbt.search import METHODS
from rl_pbt.store.run import RunFolder
from rl_pbt.text import table, value_text

POPULATIONS = (4, 8, 16, 32)  # numbers of members for PBT and random search
MAIN_POPULATION = 8  # number of members for all methods
METHODS_AT_ONCE = [name for name, entry in METHODS.items() if entry.compared]


class Found(TypedDict):
    """One method in one run: totals over the seeds, but the most of any seed for what is in sequence and for the peak."""

    test_return: EstimateJSON | None
    iqm: EstimateJSON | None
    frames: int
    sequential_depth: int
    sequential_frames: int
    peak_proposals: int
    discarded_frames: int
    exploits: int
    failures: int


class Pair(TypedDict):
    """A comparison of `summary.json`, as far as it is used here. A run of one method has none; a refused one has no numbers."""

    methods: NotRequired[list[str]]
    refused: NotRequired[str | None]
    difference: NotRequired[EstimateJSON]
    family: NotRequired[str]
    p_value_corrected: NotRequired[float | None]


class RunFound(TypedDict):
    """One run: what it was, its methods by name, and the first method against each of the others."""

    command: str
    commit: str | None
    population: int
    seeds: int
    methods: dict[str, Found]
    comparisons: list[Pair]


def runs(out: Path, flags: Sequence[str], primary: str | None = None) -> dict[str, list[str]]:
    """The bench flags of each run, by the name of its folder. Those that have both methods declare the `primary` contrast."""
    others = [population for population in POPULATIONS if population != MAIN_POPULATION]
    methods = {
        "methods": METHODS_AT_ONCE,
        **{f"population-{size}": ["pbt", "random"] for size in others},
        "replay": [f"replay:{out / 'methods'}"],
    }
    sizes = {"methods": MAIN_POPULATION, **{f"population-{size}": size for size in others}, "replay": MAIN_POPULATION}
    replays = [name for name, entry in METHODS.items() if entry.replays]
    found = {}
    for name, compared in methods.items():
        known = replays if name == "replay" else compared
        declared = ["--primary", primary] if primary is not None and set(primary.split(":")) <= set(known) else []
        found[name] = ["--methods", *compared, "--population", str(sizes[name]), *declared, *flags]
    return found


def run(folder: Path, flags: Sequence[str]) -> None:
    """Run the bench, unless the folder holds a trimmed run. Raises UserError if that was made with other flags."""
    if (folder / "manifest.json").exists() and not any(folder.rglob("ledger.jsonl")):
        made_with = RunFolder(folder).manifest().command
        if _without_folders(shlex.split(made_with)[3:]) != _without_folders(flags):
            raise UserError(f"{folder} holds what `{made_with}` made: use those flags, or another --out")
        return
    status = subprocess.run([sys.executable, "-m", "rl_pbt.bench", *flags, "--out", str(folder)], check=False).returncode
    if status:
        raise SystemExit(status)  # the bench has said why


def _without_folders(flags: Sequence[str]) -> list[str]:
    """The flags that determine a run's results: the run, and what it replays, may have been moved since."""
    kept = [PREFIX if flag.startswith(PREFIX) else flag for flag in flags]
    if "--out" in kept:
        del kept[kept.index("--out") : kept.index("--out") + 2]
    return kept


def gather(out: Path) -> dict[str, RunFound]:
    """Each method's test return and compute accounting, by run; runs that are not there are left out."""
    found: dict[str, RunFound] = {}
    for folder in sorted(path.parent for path in out.glob("*/summary.json")):
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        found[folder.name] = {
            "command": summary["command"],
            "commit": summary["commit"],
            "population": summary["population"],
            "seeds": len(summary["seeds"]),
            "methods": {name: _method(fields) for name, fields in summary["methods"].items()},
            "comparisons": [summary["comparison"], *summary["further_comparisons"]],
        }
    return found


def _method(fields: Fields) -> Found:
    """What is used here of a method's part of `summary.json`."""
    seeds = fields["seeds"].values()
    return {
        "test_return": fields["test_return"],
        "iqm": fields["iqm"],
        "frames": _frames(fields["cost"], "train") + _frames(fields["cost"], "eval"),
        "sequential_depth": max(seed["sequential_depth"] for seed in seeds),
        "sequential_frames": max(_frames(seed, "sequential") for seed in seeds),
        "peak_proposals": max(seed["peak_proposals"] for seed in seeds),
        "discarded_frames": sum(_frames(seed, "discarded") for seed in seeds),
        "exploits": sum(seed["exploits"] for seed in seeds),
        "failures": sum(seed["failures"] for seed in seeds),
    }


def _frames(fields: Fields, which: str) -> int:
    """The count that a summary calls `which`_units, or in version 1 `which`_frames: the unit is the frame here."""
    count: int = fields[f"{which}_units"] if f"{which}_units" in fields else fields[f"{which}_frames"]
    return count


def page(env: str, found: Mapping[str, RunFound]) -> str:
    """Tables of all runs, best method first in each."""
    parts = [f"# Search methods on {env}"]
    for name, run_found in found.items():
        parts += [f"## {name}: {run_found['population']} members, {run_found['seeds']} seeds", _tables(run_found)]
        parts.append(f"Made by `{run_found['command']}`, commit `{run_found['commit']}`.")
    return "\n\n".join([*parts, *(f"![]({name})" for name in _figures(env, found))]) + "\n"


HEADER = (
    *("method", "mean test return", "95 % interval", "IQM", "first method minus this", "95 % interval", "p, corrected"),
    *("frames spent", "proposals in sequence", "frames in sequence", "at once", "discarded", "copies", "failures"),
)


def _tables(run_found: RunFound) -> str:
    """The methods that can be compared, and a list of those that cannot."""
    refused = _refused(run_found)
    against = _against_the_first(run_found)
    rows = [_row(name, one, against.get(name)) for name, one, _ in _ranked(run_found["methods"]) if name not in refused]
    means = {name: estimate_cells(run_found["methods"][name]["test_return"])[0] for name in refused}
    not_ranked = "".join(f"* {name}, {means[name]}: {why}\n" for name, why in refused.items())
    parts = [table(HEADER, rows), *_declared(run_found), *([f"Not ranked:\n\n{not_ranked}"] if not_ranked else [])]
    return "\n".join(parts).rstrip("\n")


def _declared(run_found: RunFound) -> Iterator[str]:
    """The result of the primary contrast, in a sentence."""
    for one in run_found["comparisons"]:
        if one.get("family") == "primary":
            first, second = one["methods"]
            difference, interval = estimate_cells(one.get("difference"))
            found = f"{difference}, 95 % interval {interval}, p {value_text(one.get('p_value_corrected'))}"
            yield f"Primary contrast, declared before the run: {first} minus {second}, {found}.\n"


def _row(name: str, one: Found, to_first: Pair | None) -> list[str]:
    return [
        *(name, *estimate_cells(one["test_return"]), estimate_cells(one["iqm"])[0]),
        *estimate_cells(to_first["difference"] if to_first else None),
        value_text(to_first["p_value_corrected"] if to_first else None),
        *(f"{one['frames']:,}", f"{one['sequential_depth']:,}", f"{one['sequential_frames']:,}", f"{one['peak_proposals']:,}"),
        *(f"{one['discarded_frames']:,}", f"{one['exploits']:,}", f"{one['failures']:,}"),
    ]


def _against_the_first(run_found: RunFound) -> dict[str, Pair]:
    pairs = [one for one in run_found["comparisons"] if "methods" in one]
    firsts = {one["methods"][0] for one in pairs if one.get("family") != "primary"}  # the primary contrast may be of any two
    return {one["methods"][1]: one for one in pairs if one["methods"][0] in firsts or not firsts}


def _refused(run_found: RunFound) -> dict[str, str]:
    """Why the report does not compare a method with the first, by method."""
    return {name: why for name, one in _against_the_first(run_found).items() if (why := one["refused"])}


def _ranked(methods: Mapping[str, Found]) -> list[tuple[str, Found, EstimateJSON]]:
    """Methods, what was found of them, and their mean test returns, best first; those that were not tested are left out."""
    tested = [(name, one, mean) for name, one in methods.items() if (mean := one["test_return"])]
    return sorted(tested, key=lambda row: -row[2]["value"])


def methods_figure(env: str, found: Mapping[str, RunFound]) -> Figure:
    """Mean test return of every method with its interval, best on top; replays in another colour."""
    kept = [found[name] for name in ("methods", "replay") if name in found]
    rows = [(name, mean) for one_run in kept for name, _, mean in _ranked(one_run["methods"]) if name not in _refused(one_run)]
    rows.sort(key=lambda row: row[1]["value"])
    figure = Figure(figsize=(8, 1.2 + 0.3 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    for place, (name, mean) in enumerate(rows):
        value = mean["value"]
        low, high = mean["interval"] or (value, value)
        colour = COLOURS[1] if METHODS[name].replays else COLOURS[0]
        axes.plot([low, high], [place, place], color=colour, linewidth=2)
        axes.plot(value, place, "o", color=INK, markersize=5)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.set_xlabel("mean test return of the winner, 95 % interval over seeds")
    _finish(figure, f"{env}: search methods under equal budgets")
    return figure


def populations_figure(env: str, found: Mapping[str, RunFound]) -> Figure:
    """Mean test return of PBT and random search by the size of the population."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    sizes = sorted((one["population"], one["methods"]) for name, one in found.items() if name != "replay")
    for method, colour in (("pbt", COLOURS[0]), ("random", COLOURS[1])):
        estimates = [(size, mean) for size, methods in sizes if (mean := methods[method]["test_return"])]
        places, values = [size for size, _ in estimates], [estimate["value"] for _, estimate in estimates]
        bounds = [estimate["interval"] or (estimate["value"],) * 2 for _, estimate in estimates]
        axes.fill_between(places, [low for low, _ in bounds], [high for _, high in bounds], color=colour, alpha=0.18, linewidth=0)
        axes.plot(places, values, "o-", color=colour, label=method)
    axes.set_xscale("log", base=2)
    axes.set_xticks(POPULATIONS, list(map(str, POPULATIONS)))
    axes.set_xlabel("members, each with the same frames")
    axes.set_ylabel("mean test return of the winner")
    axes.legend(frameon=False)
    _finish(figure, f"{env}: size of the population")
    return figure


def _figures(env: str, found: Mapping[str, RunFound]) -> dict[str, Figure]:
    """Figures by file name, as far as there are runs for them."""
    figures = {"methods.png": methods_figure(env, found)} if "methods" in found else {}
    if sum(name != "replay" for name in found) > 1:
        figures["populations.png"] = populations_figure(env, found)
    return figures


def _finish(figure: Figure, title: str) -> None:
    (axes,) = figure.axes
    clean(axes, counts_on_x=False)
    axes.set_title(title, loc="left", fontweight="bold")


def write(out: Path, env: str) -> None:
    """Write comparison.json, comparison.md and the figures, from the runs that are there."""
    found = gather(out)
    (out / "comparison.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    (out / "comparison.md").write_text(page(env, found), encoding="utf-8")
    for name, figure in _figures(env, found).items():
        save(figure, out / name)


def main(words: Sequence[str] | None = None) -> None:
    """Run what is not finished yet, gather, draw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.comparison", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--env", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=10, help="how many (default 10)")
    parser.add_argument("--only", nargs="+", help="the names of some of the runs")
    parser.add_argument("--primary", metavar="FIRST:SECOND", help="the contrast that runs of both methods declare")
    parser.add_argument("--trim", action="store_true", help="delete what is not to be kept, once the schedule was replayed")
    args, flags = parser.parse_known_args(words)
    seeds = list(map(str, range(args.seeds)))
    for name, run_flags in runs(args.out, ["--env", args.env, "--seeds", *seeds, *flags], args.primary).items():
        if not args.only or name in args.only:
            try:
                run(args.out / name, run_flags)
            except UserError as error:
                parser.error(str(error))
    write(args.out, args.env)
    if args.trim and (args.out / "replay" / "summary.json").exists():  # what is replayed is needed until then
        for manifest in args.out.glob("*/manifest.json"):
            trim(manifest.parent)


if __name__ == "__main__":
    main()
