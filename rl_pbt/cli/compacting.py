"""`rl-pbt compact RUN ...`: reduces finished runs to what their reports need."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rl_pbt.cli.parser import Parser
from rl_pbt.errors import exit_status
from rl_pbt.store.compacting import check_ended, compact
from rl_pbt.store.run import RunFolder
from rl_pbt.text import shown


def build_parser(program: str) -> Parser:
    """The parser of this command, with its one argument."""
    parser = Parser(
        program,
        "Compress the ledgers of finished runs and delete their checkpoints: they can still be reported and replayed, but "
        "not played or continued.",
        usage=[f"{program} RUN ..."],
        examples=[f"{program} results/ALE-Pacman-v5/RUN", f"{program} results/suites/control-v1"],
    )
    parser.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="a finished run's folder, or that of a suite: all its cells"
    )
    return parser


def main(words: Sequence[str], program: str) -> int:
    """Run the command, and return its exit status."""
    return exit_status(lambda: _compact(build_parser(program).parse_args(words).runs))


def _compact(folders: Sequence[Path]) -> None:
    runs = [run for folder in folders for run in _runs_in(folder)]
    for run in runs:
        check_ended(run)  # check all of them before changing the first
    for run in runs:
        compact(run)
        print(f"compacted {shown(run.folder)}")


def _runs_in(folder: Path) -> list[RunFolder]:
    """The run that the folder is or, if it is that of a suite, its cells."""
    run = RunFolder(folder)
    if not run.is_suite:
        return [run]
    return [cell for path in sorted(folder.iterdir()) if (cell := RunFolder(path)).begun and cell.is_cell]
