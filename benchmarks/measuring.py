"""What the benchmarks share: a process of its own for each measurement, medians, where figures come from, and files of results.

A file of results holds an entry for each environment, or for each agent on it, with its own `provenance`: entries made by
different commits, or on different days, can stay side by side. The page that is made from FILE.json is FILE.md, beside it.
"""

from __future__ import annotations

import argparse
import datetime
import json
import multiprocessing
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from rl_pbt.errors import UserError
from rl_pbt.provenance import commit, hardware, versions
from rl_pbt.records import Fields
from rl_pbt.store.compacting import compact
from rl_pbt.store.run import RunFolder
from rl_pbt.text import NOTHING

Entry: TypeAlias = Fields  # of a file of results
EstimateJSON: TypeAlias = Fields  # a report.statistics.Estimate
# A file of results as it was read: entries by environment or size, or by environment and agent. Each script knows its own.
Results: TypeAlias = Mapping[str, Any]
Question = TypeVar("Question")
Answer = TypeVar("Answer")
KEPT = ("manifest.json", "summary.json", "ledger.jsonl.gz")  # of a run that is trimmed


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Median, least and greatest of the repeats."""

    median: float
    min: float
    max: float


def spread(values: Sequence[float]) -> Spread:
    """The spread of the repeats of one measurement, at least one."""
    return Spread(median=statistics.median(values), min=min(values), max=max(values))


def estimate_cells(estimate: EstimateJSON | None) -> list[str]:
    """Two cells of a table: value and 95 % interval of an estimate in JSON; dashes for what is missing."""
    if estimate is None:
        return [NOTHING, NOTHING]
    interval = estimate["interval"]
    shown = f"{interval[0]:.4g} to {interval[1]:.4g} ({estimate['unit']})" if interval else NOTHING
    return [f"{estimate['value']:.4g}", shown]


def of_seeds(means: Iterable[float]) -> list[list[float]]:
    """Each seed's mean as its only return. Files of results hold only the means; estimates are computed when a page is made."""
    return [[mean] for mean in means]


def alone(measure: Callable[[Question], Answer], question: Question) -> Answer:
    """Measure in a fresh process, so that no measurement inherits another's threads or caches."""
    with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, question).result()


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One entry of a file of results.

    `place` is where it stands there: the environment, and within it the agent if there are several. `asked` is what was chosen on
    the command line, which the entry records; `make` measures the rest of it.
    """

    place: tuple[str, ...]
    asked: Entry
    make: Callable[[], Entry]


def parser(script: str, description: str | None) -> argparse.ArgumentParser:
    """A parser for a script, from its name and its docstring, with the option that all scripts have."""
    first_line = (description or "").partition("\n")[0]
    made = argparse.ArgumentParser(prog=f"python -m benchmarks.{script}", description=first_line)
    made.add_argument("--out", type=Path, metavar="FILE.json", help="write the figures there as well, after each measurement")
    return made


def run(
    measurements: Iterable[Measurement], *, out: Path | None, page: Callable[[Results], str], of_any_commit: bool = False
) -> None:
    """Make the entries that the file `out` lacks, write it and its page after each, and print the page of all results.

    An entry that this commit made from the same `asked` is not made again: a script that was killed resumes where it stopped.
    With `of_any_commit` this holds for entries of other commits too: they took hours. All other entries in the file stay. What
    cannot be made here, for instance because a package is missing, is reported and left out.
    """
    results = read(out)
    for one in measurements:
        if _is_made(_entry(results, one.place), one.asked, of_any_commit=of_any_commit):
            continue
        name = ", ".join(one.place)
        print(f"measuring {name}", file=sys.stderr, flush=True)
        try:
            entry = {**provenance(), **one.asked, **one.make()}
        except UserError as error:
            print(f"{name} is left out: {error}", flush=True)
            continue
        results = _with(results, one.place, entry)
        _write(out, results, page(results))
    print(page(results).rstrip("\n"))


def provenance() -> Fields:
    """When, where and with what the figures were made."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "hardware": hardware(),
        "versions": versions(),
    }


def read(path: Path | None) -> Results:
    """The results that a file holds; empty if it does not exist."""
    if path is None or not path.exists():
        return {}
    results: Results = json.loads(path.read_text(encoding="utf-8"))["results"]
    return results


def _write(path: Path | None, results: Results, page: str) -> None:
    """The results as JSON and their page beside them as Markdown; nothing without a path."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"results": results}, indent=2) + "\n", encoding="utf-8")
        path.with_suffix(".md").write_text(page.rstrip("\n") + "\n", encoding="utf-8")


def trim(folder: Path) -> None:
    """Compress the ledgers of a finished run, and delete everything else except KEPT."""
    if any(folder.rglob("ledger.jsonl")):
        compact(RunFolder(folder))
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_file() and path.name not in KEPT:
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def _entry(results: Results, place: Sequence[str]) -> Entry:
    """The entry at a place; empty if there is none."""
    for key in place:
        results = results.get(key, {})
    return results


def _with(results: Results, place: Sequence[str], entry: Entry) -> Results:
    """The results with the entry at its place, and otherwise unchanged."""
    if not place:
        return entry
    key, *rest = place
    return {**results, key: _with(results.get(key, {}), rest, entry)}


def _is_made(entry: Entry, asked: Entry, *, of_any_commit: bool) -> bool:
    """Whether an entry need not be made again; never if the commit does not identify the code, unless any commit will do."""
    made_by = commit()
    known = made_by is not None and not made_by.endswith("-dirty")
    wanted = asked if of_any_commit else {"commit": made_by, **asked}
    return (known or of_any_commit) and all(entry.get(name) == value for name, value in wanted.items())
