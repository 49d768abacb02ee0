"""All search methods on one environment under equal budgets, and the analyses of Jaderberg 2017, sec. 5.

    python -m benchmarks.comparison --env CartPole-v1 --out results/reference/comparison/cartpole-v1 [--seeds N] [BENCH FLAGS]

Three kinds of runs of `rl_pbt.bench`, one after the other, each resumed where it was stopped: `methods`, all of them;
`population-P`, PBT and random search with other numbers of members, each of which has the same frames; and `replay`, which
trains fresh weights along the schedule of the first one's winner. Their summaries are gathered in comparison.json, comparison.md
and up to two plots. Methods that the report refuses to compare with the first one are shown, but not ranked.

Once the last has run, `--trim` deletes what is not to be kept of them: checkpoints, ledgers, TensorBoard files, pages and plots.
A run that was trimmed is not run again, and other flags than it was made with are refused.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.measuring import estimate_cells
from rl_pbt.errors import UserError
from rl_pbt.report.style import COLOURS, INK, clean, save
from rl_pbt.schedule import PREFIX
from rl_pbt.search import METHODS
from rl_pbt.store.run import RunFolder
from rl_pbt.text import table, value_text

POPULATIONS = (4, 8, 16, 32)  # that PBT and random search are compared with
MAIN_POPULATION = 8  # that all methods are compared with
METHODS_AT_ONCE = [name for name, entry in METHODS.items() if not entry.replays]
KEPT = ("manifest.json", "summary.json")  # of a run that is trimmed


def runs(out: Path, flags: Sequence[str]) -> dict[str, list[str]]:
    """The bench flags of each run, by the name of its folder."""
    others = [population for population in POPULATIONS if population != MAIN_POPULATION]
    return {
        "methods": ["--methods", *METHODS_AT_ONCE, "--population", str(MAIN_POPULATION), *flags],
        **{f"population-{size}": ["--methods", "pbt", "random", "--population", str(size), *flags] for size in others},
        "replay": ["--methods", f"replay:{out / 'methods'}", "--population", str(MAIN_POPULATION), *flags],
    }


def run(folder: Path, flags: Sequence[str]) -> None:
    """Raises UserError where the folder holds a trimmed run of other flags; the bench itself refuses those of any other."""
    if (folder / "manifest.json").exists() and not any(folder.rglob("ledger.jsonl")):
        made_with = RunFolder(folder).manifest().command
        if _without_folders(shlex.split(made_with)[3:]) != _without_folders(flags):
            raise UserError(f"{folder} holds what `{made_with}` made: use those flags, or another --out")
        return
    status = subprocess.run([sys.executable, "-m", "rl_pbt.bench", *flags, "--out", str(folder)], check=False).returncode
    if status:
        raise SystemExit(status)  # the bench has said why


def _without_folders(flags: Sequence[str]) -> list[str]:
    """What a run is a function of: wherever it was made, and what it replays, may have been moved since."""
    kept = [PREFIX if flag.startswith(PREFIX) else flag for flag in flags]
    if "--out" in kept:
        del kept[kept.index("--out") : kept.index("--out") + 2]
    return kept


def gather(out: Path) -> dict[str, Any]:
    """Each method's test return and compute accounting, by run; runs that are not there are left out."""
    found: dict[str, Any] = {}
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


def _method(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Totals over the seeds and, of what no number of machines can do at once, the seed with the most."""
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


def _frames(fields: Mapping[str, Any], which: str) -> int:
    """What a summary calls `which`_units, and one of version 1 `which`_frames: the unit is the frame here."""
    count: int = fields[f"{which}_units"] if f"{which}_units" in fields else fields[f"{which}_frames"]
    return count


def page(env: str, found: Mapping[str, Any]) -> str:
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


def _tables(run_found: Mapping[str, Any]) -> str:
    """The methods that can be compared, and a list of those that cannot."""
    refused = _refused(run_found)
    against = _against_the_first(run_found)
    rows = [_row(name, one, against.get(name)) for name, one in _ranked(run_found["methods"]) if name not in refused]
    means = {name: estimate_cells(run_found["methods"][name]["test_return"])[0] for name in refused}
    not_ranked = "".join(f"* {name}, {means[name]}: {why}\n" for name, why in refused.items())
    return (table(HEADER, rows) + (f"\nNot ranked:\n\n{not_ranked}" if not_ranked else "")).rstrip("\n")


def _row(name: str, one: Mapping[str, Any], to_first: Mapping[str, Any] | None) -> list[str]:
    counts = ("frames", "sequential_depth", "sequential_frames", "peak_proposals", "discarded_frames", "exploits", "failures")
    return [
        *(name, *estimate_cells(one["test_return"]), estimate_cells(one["iqm"])[0]),
        *estimate_cells(to_first["difference"] if to_first else None),
        value_text(to_first["p_value_corrected"] if to_first else None),
        *(f"{one[count]:,}" for count in counts),
    ]


def _against_the_first(run_found: Mapping[str, Any]) -> dict[str, Any]:
    return {one["methods"][1]: one for one in run_found["comparisons"] if "methods" in one}


def _refused(run_found: Mapping[str, Any]) -> dict[str, str]:
    """Why the report does not compare a method with the first, by method."""
    return {name: one["refused"] for name, one in _against_the_first(run_found).items() if one["refused"]}


def _ranked(methods: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Methods and what was found of them, best first; those that were not tested are left out."""
    tested = [(name, one) for name, one in methods.items() if one["test_return"]]
    return sorted(tested, key=lambda pair: -pair[1]["test_return"]["value"])


def methods_figure(env: str, found: Mapping[str, Any]) -> Figure:
    """Mean test return of every method with its interval, best on top; replays in another colour."""
    kept = [found[name] for name in ("methods", "replay") if name in found]
    rows = [(name, one) for one_run in kept for name, one in _ranked(one_run["methods"]) if name not in _refused(one_run)]
    rows.sort(key=lambda pair: pair[1]["test_return"]["value"])
    figure = Figure(figsize=(8, 1.2 + 0.3 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    for place, (name, one) in enumerate(rows):
        value = one["test_return"]["value"]
        low, high = one["test_return"]["interval"] or (value, value)
        colour = COLOURS[1] if METHODS[name].replays else COLOURS[0]
        axes.plot([low, high], [place, place], color=colour, linewidth=2)
        axes.plot(value, place, "o", color=INK, markersize=5)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.set_xlabel("mean test return of the winner, 95 % interval over seeds")
    _finish(figure, f"{env}: search methods under equal budgets")
    return figure


def populations_figure(env: str, found: Mapping[str, Any]) -> Figure:
    """Mean test return of PBT and random search by the size of the population."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    sizes = sorted((one["population"], one["methods"]) for name, one in found.items() if name != "replay")
    for method, colour in (("pbt", COLOURS[0]), ("random", COLOURS[1])):
        estimates = [(size, methods[method]["test_return"]) for size, methods in sizes if methods[method]["test_return"]]
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


def _figures(env: str, found: Mapping[str, Any]) -> dict[str, Figure]:
    """By file name, those that what was found is enough for."""
    figures = {"methods.png": methods_figure(env, found)} if "methods" in found else {}
    if sum(name != "replay" for name in found) > 1:
        figures["populations.png"] = populations_figure(env, found)
    return figures


def _finish(figure: Figure, title: str) -> None:
    (axes,) = figure.axes
    clean(axes, counts_on_x=False)
    axes.set_title(title, loc="left", fontweight="bold")


def write(out: Path, env: str) -> None:
    """comparison.json, comparison.md and the figures, of the runs that are there."""
    found = gather(out)
    (out / "comparison.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    (out / "comparison.md").write_text(page(env, found), encoding="utf-8")
    for name, figure in _figures(env, found).items():
        save(figure, out / name)


def trim(out: Path) -> None:
    """Leave of each run what its page shows."""
    for manifest in out.glob("*/manifest.json"):
        for path in sorted(manifest.parent.rglob("*"), reverse=True):
            if path.is_file() and path.name not in KEPT:
                path.unlink()
            elif path.is_dir() and not any(path.iterdir()):
                shutil.rmtree(path)


def main(words: Sequence[str] | None = None) -> None:
    """Run what is not finished yet, gather, draw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.comparison", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--env", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=10, help="how many (default 10)")
    parser.add_argument("--only", nargs="+", help="the names of some of the runs")
    parser.add_argument("--trim", action="store_true", help="delete what is not to be kept, once the schedule was replayed")
    args, flags = parser.parse_known_args(words)
    seeds = list(map(str, range(args.seeds)))
    for name, run_flags in runs(args.out, ["--env", args.env, "--seeds", *seeds, *flags]).items():
        if not args.only or name in args.only:
            try:
                run(args.out / name, run_flags)
            except UserError as error:
                parser.error(str(error))
    write(args.out, args.env)
    if args.trim and (args.out / "replay" / "summary.json").exists():  # what is replayed is needed until then
        trim(args.out)


if __name__ == "__main__":
    main()
