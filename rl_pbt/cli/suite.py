"""`rl-pbt bench --suite NAME`: runs all cells of a suite, with one line each, and prints what they show together."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rl_pbt.cli.dry_run import detectable, labelled, planned
from rl_pbt.cli.starting import raise_again
from rl_pbt.errors import BadSetting, UserError
from rl_pbt.options import Settings
from rl_pbt.report.evidence import returns_of
from rl_pbt.report.statistics import mean_of
from rl_pbt.report.suite import MeasuredCell, write_suite_page
from rl_pbt.report.suite.claims import other_contrasts
from rl_pbt.running import Prepared
from rl_pbt.suites.cells import How, carry_out, prepared_cells, usual_folder
from rl_pbt.suites.definition import Cell, Suite, find_suite, frozen_suites, read_suite
from rl_pbt.suites.results import band_checks, measured, page_of
from rl_pbt.text import counted, duration, listed, score_text, shown

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
    if args.check and not suite.bands:
        raise BadSetting("check", f"has nothing to compare with: {suite.title} declares no bands")
    folder: Path = args.out or usual_folder(suite)
    machine = How(workers=args.workers, executor=args.executor or "processes", options=how, track=args.track)
    raise_again()
    cells = prepared_cells(suite, folder, machine)
    if args.dry_run:
        print(*_plans(suite, cells), sep="\n\n")
        return
    found, failed = _carried_out(suite, folder, cells, command)
    page = page_of(suite, found, failed)
    print(page.verdict, page.ahead, *(f"without {cell}: {why}" for cell, why in failed.items()), sep="\n")
    print(f"page: {shown(write_suite_page(page, folder).absolute())}")
    within = _checked(suite, found) if args.check else True
    if failed or not within:
        raise SystemExit(1)


def _check_flags(args: argparse.Namespace, settings: Settings) -> None:
    """Raises BadSetting for settings that a suite declares itself, and for flags that only a single run has."""
    for setting in () if args.config else settings:
        raise BadSetting(setting, "is set by the suite: to change it, edit a copy of the suite's file and give that to --suite")
    for flag, value in (("config", args.config), ("resume", args.resume)):
        if value is not None:
            raise BadSetting(flag, "is for single runs: the same --suite with the same --out continues where it stopped")
    if args.keep_population:
        raise BadSetting("keep_population", "is for single runs: a suite's budgets are fixed and cannot be extended")


def _carried_out(
    suite: Suite, folder: Path, cells: Mapping[str, Prepared], command: str
) -> tuple[list[MeasuredCell], dict[str, str]]:
    """Run the cells, and print a line for each. Returns those with a result, and for each of the others why it has none.

    Raises SystemExit if interrupted.
    """
    size = f"{counted(len(suite.cells), 'cell')}, {counted(len(suite.seeds), 'seed')}"
    print(f"suite {suite.title}: {listed(suite.methods)} on {size}, in {shown(folder)}")
    found: list[MeasuredCell] = []
    failed: dict[str, str] = {}

    def told(cell: Cell, why: str | None) -> None:
        try:
            if why is not None:
                raise UserError(why)
            found.append(measured(cell, folder))
            line = _scores(found[-1])
        except UserError as error:
            line = failed[cell.name] = str(error)
        print(f"{cell.name}: {line}", flush=True)

    try:
        carry_out(suite, folder, cells, command=command, stream=sys.stdout, told=told)
    except KeyboardInterrupt:
        print(f"\nstopped; continue with the same command: {command}", file=sys.stderr)
        raise SystemExit(130) from None
    return found, failed


def _plans(suite: Suite, cells: Mapping[str, Prepared]) -> Iterator[str]:
    """The plan of each cell, and of the whole suite."""
    whole_s = 0.0
    for name, cell in cells.items():
        try:
            lines, seconds = planned(cell.opened.config, cell.task, cell.workers)
        except UserError as error:
            raise UserError(f"cell {name}: {error}") from None
        whole_s += seconds
        yield "\n".join([f"cell {name}", *lines])
    families = {
        "the declared contrast": 1,
        "each further comparison": len(other_contrasts(suite.methods, suite.primary, suite.reference)),
        "the contrast in each cell": len(suite.cells),
    }
    found = "; ".join(f"{family}: {detectable(size, len(suite.seeds))}" for family, size in families.items() if size)
    yield "\n".join([f"suite {suite.title}", *labelled([("would find", found), ("time", f"about {duration(whole_s)} in all")])])


def _scores(cell: MeasuredCell) -> str:
    """Each method's mean test score, in words."""
    means = {method: mean_of(returns_of(by_seed)).value for method, by_seed in cell.evidence.histories.items()}
    return ", ".join(f"{method} {score_text(mean)}" for method, mean in means.items())


def _checked(suite: Suite, cells: Sequence[MeasuredCell]) -> bool:
    """Print which scores are outside the bands that the suite expects. Returns whether all bands have a score within them."""
    checks = band_checks(suite, cells)
    misses = [one for one in checks if not one.within]
    for one in misses:
        low, high = map(score_text, one.band)
        print(f"{one.cell}: {one.method} {score_text(one.score)} is not within {low} to {high}")
    missing = sorted(suite.bands.keys() - {cell.name for cell in cells})
    for name in missing:
        print(f"{name}: has no result to compare with its bands")
    print(f"{len(checks) - len(misses)} of {counted(sum(map(len, suite.bands.values())), 'score')} within their bands")
    return not misses and not missing


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
