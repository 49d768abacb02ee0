"""`rl-pbt compare RUN RUN ...`: several runs side by side."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from rl_pbt.cli.parser import Parser, in_flags
from rl_pbt.errors import BadSetting, Unfinished, UserError, exit_status, near_names
from rl_pbt.report.gathering import gather
from rl_pbt.store.files import write_durably
from rl_pbt.text import shown

FORMATS = ("md", "latex", "csv")


def build_parser(program: str) -> Parser:
    """The parser of this command."""
    parser = Parser(
        program,
        "Compare several runs, or folders of runs: a table, verdicts and curves.",
        usage=[f"{program} RUN RUN ... [options]"],
        examples=[
            f"{program} results/CartPole-v1/A results/CartPole-v1/B --out comparison",
            f"{program} results/CartPole-v1 --format latex",
        ],
    )
    add = parser.add_argument
    add("runs", type=Path, nargs="+", metavar="RUN", help="a run's folder; or a folder of runs, compared by environment")
    add("--out", type=Path, metavar="FOLDER", help="write a page and its figures there")
    add("--format", metavar="FORMAT", help=f"print the table alone, as one of: {', '.join(FORMATS)}")
    add("--curves", type=Path, metavar="FILE", help="write the learning curves to a CSV file")
    return parser


def _compare(args: argparse.Namespace) -> None:
    if args.format is not None and args.format not in FORMATS:
        raise BadSetting("format", f"{args.format!r} is unknown: {near_names(args.format, FORMATS)}")
    gathered = gather(args.runs)
    from rl_pbt.report.several import compared  # noqa: PLC0415 - statistics and plots take longer to load than everything else
    from rl_pbt.report.several_page import check_apart, write_page  # noqa: PLC0415
    from rl_pbt.report.several_tables import TABLES, as_text, curves_as_csv  # noqa: PLC0415

    comparison = compared(gathered)
    groups = comparison.groups
    if args.out is not None:
        check_apart(args.out)
    if args.curves is not None:
        write_durably(args.curves, curves_as_csv(groups).encode())
    page = None if args.out is None else write_page(comparison, args.out)
    for refusal in comparison.left_out:
        print(f"left out: {refusal}", file=sys.stderr)
    if args.format is not None:
        print(TABLES[args.format](groups), end="")
        return
    print(as_text(groups))
    if page is not None:
        print(f"page: {shown(page.absolute())}")


def main(words: Sequence[str], program: str) -> int:
    """Run the command, and return its exit status."""
    parser = build_parser(program)

    def worded(error: UserError) -> str:
        told = in_flags(error, parser, words)
        if not isinstance(error, Unfinished):
            return told
        again = ["rl-pbt", error.command, "--resume", shown(error.folder), *error.code]
        return f"{told}, as in {shlex.join(again)}"

    return exit_status(lambda: _compare(parser.parse_args(words)), worded)
