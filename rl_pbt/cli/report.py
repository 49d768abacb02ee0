"""`rl-pbt report RUN`: the report of a run, written again."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rl_pbt.cli.ending import print_end
from rl_pbt.errors import exit_status
from rl_pbt.parser import Parser
from rl_pbt.report import write_report
from rl_pbt.report.optuna_study import write_studies
from rl_pbt.store.run import RunFolder


def build_parser(program: str) -> argparse.ArgumentParser:
    """Its flags."""
    parser = Parser(prog=program, description="Rebuild the report of a finished or interrupted run.", allow_abbrev=False)
    parser.add_argument("run", type=Path, help="the run's folder, which holds manifest.json")
    parser.add_argument("--optuna", metavar="URL", help="write it as studies of Optuna too, into sqlite:///FILE.db")
    return parser


def main(words: Sequence[str], program: str = "rl-pbt report") -> int:
    """Write the report of the run that the words name, and print its end; the exit status."""
    parser = build_parser(program)

    def report() -> None:
        args = parser.parse_args(words)
        run = RunFolder(args.run)
        print_end(write_report(run), run, program)
        if args.optuna is not None:
            print("studies:", *write_studies(run, args.optuna))

    return exit_status(report)
