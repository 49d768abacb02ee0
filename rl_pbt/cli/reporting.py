"""`rl-pbt report RUN`: its report, written again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rl_pbt.cli.parser import Parser
from rl_pbt.errors import exit_status
from rl_pbt.recorded import manifest_of
from rl_pbt.store.run import RunFolder


def main(words: Sequence[str], program: str) -> int:
    """Write the report of the run that the words name, and print its summary; the exit status."""
    return exit_status(lambda: _report(words, program))


def build_parser(program: str) -> Parser:
    """Its one argument."""
    parser = Parser(
        program,
        "Rebuild the report of a finished or interrupted run: summary.md, summary.json and plots, in its folder.",
        usage=[f"{program} RUN"],
        examples=[f"{program} results/Pacman/RUN"],
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="the run's folder, which holds manifest.json")
    return parser


def _report(words: Sequence[str], program: str) -> None:
    run = RunFolder(build_parser(program).parse_args(words).run)
    manifest_of(run)  # or it is not a run
    from rl_pbt.report import page_path, terminal_summary, write_report  # noqa: PLC0415 - it takes longer to load than all else

    print(terminal_summary(write_report(run), page_path(run)))
