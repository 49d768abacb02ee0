"""`rl-pbt bench --suite NAME`: runs all cells of a suite, with one line each, and prints what they show together."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

from rl_pbt.cli.dry_run import plan_lines
from rl_pbt.cli.starting import raise_again
from rl_pbt.errors import BadSetting, UserError
from rl_pbt.options import Settings
from rl_pbt.report.evidence import read_evidence, returns_of
from rl_pbt.report.statistics import mean_of
from rl_pbt.report.suite import write_suite_page
from rl_pbt.running import Prepared
from rl_pbt.suites.cells import How, carry_out, cell_folder, prepared_cells, usual_folder
from rl_pbt.suites.definition import Cell, Suite, find_suite, frozen_suites, read_suite
from rl_pbt.suites.results import band_checks, page_of
from rl_pbt.text import counted, listed, score_text, shown

WIDTH = 100  # characters per line of the list of suites


def run_suite(args: argparse.Namespace, settings: Settings, how: Settings, command: str) -> None:
    """Begin or resume the suite that the arguments name.

    Raises UserError, and SystemExit(1) if a cell failed or, with `--check`, if a score is not within its band.
    """
    if args.suite == "help":
        print(suites_help())
        return
    _check_flags(args, settings)
    suite = find_suite(args.suite)
    if args.check and not any(cell.bands for cell in suite.cells):
        raise BadSetting("check", f"has nothing to compare with: {suite.title} declares no bands")
    folder: Path = args.out or usual_folder(suite)
    machine = How(workers=args.workers, executor=args.executor or "processes", options=how, track=args.track)
    raise_again()
    cells = prepared_cells(suite, folder, machine)
    if args.dry_run:
        print("\n\n".join(_plan(name, cell) for name, cell in cells.items()))
        return
    failed = _carried_out(suite, folder, cells, command)
    page = page_of(suite, folder, failed)
    print(f"{page.verdict}\npage: {shown(write_suite_page(page, folder).absolute())}")
    misses = _misses(suite, folder) if args.check and not page.failed else []
    print("\n".join(misses), end="\n" if misses else "")
    if page.failed or misses:
        raise SystemExit(1)


def _check_flags(args: argparse.Namespace, settings: Settings) -> None:
    """Raises BadSetting for settings that a suite declares itself, and for flags that only a single run has."""
    for setting in settings:
        raise BadSetting(setting, "is set by the suite: to change it, edit a copy of the suite's file and give that to --suite")
    for flag, value in (("config", args.config), ("resume", args.resume)):
        if value is not None:
            raise BadSetting(flag, "is for single runs: the same --suite with the same --out continues where it stopped")
    if args.keep_population:
        raise BadSetting("keep_population", "is for single runs: a suite's budgets are fixed and cannot be extended")


def _carried_out(suite: Suite, folder: Path, cells: Mapping[str, Prepared], command: str) -> dict[str, str]:
    """Run the cells, and print a line for each. Returns the reasons of those that failed. Raises SystemExit if interrupted."""
    size = f"{counted(len(suite.cells), 'cell')}, {counted(len(suite.seeds), 'seed')}"
    print(f"suite {suite.title}: {listed(suite.methods)} on {size}, in {shown(folder)}")
    failed: dict[str, str] = {}

    def told(cell: Cell, why: str | None) -> None:
        if why is not None:
            failed[cell.name] = why
        print(f"{cell.name}: {_scores(cell, folder) if why is None else why}", flush=True)

    try:
        carry_out(suite, folder, cells, command=command, stream=sys.stdout, told=told)
    except KeyboardInterrupt:
        print(f"\nstopped; continue with the same command: {command}", file=sys.stderr)
        raise SystemExit(130) from None
    return failed


def _plan(name: str, cell: Prepared) -> str:
    return "\n".join([f"cell {name}", *plan_lines(cell.opened.config, cell.task, cell.workers)])


def _scores(cell: Cell, folder: Path) -> str:
    """Each method's mean test score, in words."""
    histories = read_evidence(cell_folder(folder, cell)).histories
    means = {method: returns_of(by_seed) for method, by_seed in histories.items()}
    return ", ".join(f"{method} {score_text(mean_of(returns).value)}" for method, returns in means.items() if returns)


def _misses(suite: Suite, folder: Path) -> list[str]:
    """A line for each score that is outside the band that the suite expects."""
    return [
        f"{one.cell}: {one.method} {score_text(one.score)} is not within {score_text(one.band[0])} to {score_text(one.band[1])}"
        for one in band_checks(suite, folder)
        if not one.within
    ]


def suites_help() -> str:
    """The list of suites that come with the package."""
    lines: list[str] = []
    for name, path in frozen_suites().items():
        try:
            suite = read_suite(path)
            text = f"{suite.description} ({counted(len(suite.cells), 'cell')}, {counted(len(suite.seeds), 'seed')})"
        except UserError as error:  # for example a package is not installed, which is no reason to hide the others
            text = f"cannot run here: {error}"
        lines += textwrap.wrap(text, WIDTH, initial_indent=f"  {name}".ljust(18), subsequent_indent=" " * 18)
    return "\n".join(lines)
