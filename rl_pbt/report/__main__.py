"""`python -m rl_pbt.report RUN`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rl_pbt.errors import exit_status
from rl_pbt.report import print_end, write_report
from rl_pbt.store.run import RunFolder


def main(words: Sequence[str] | None = None, program: str = "python -m rl_pbt.report") -> int:
    """Write the report of the run that the words name, and print its summary; the exit status."""
    parser = argparse.ArgumentParser(prog=program, description="Rebuild the report of a finished or interrupted run.")
    parser.add_argument("run", type=Path, help="the run's folder, which holds manifest.json")
    run = RunFolder(parser.parse_args(words).run)

    def report() -> None:
        print_end(write_report(run), run, program)

    return exit_status(report)


if __name__ == "__main__":
    raise SystemExit(main())
