"""`python -m rl_pbt.report RUN`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rl_pbt.records import UserError
from rl_pbt.report import write_report
from rl_pbt.store import Run


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m rl_pbt.report", description="Make the report of a run anew.")
    parser.add_argument("run", type=Path, help="the run's folder, which holds manifest.json")
    try:
        print(write_report(Run(parser.parse_args(argv).run)))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
