"""`rl-pbt report RUN`: writes the report of a run again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rl_pbt.cli.parser import Parser, in_flags
from rl_pbt.config import check_contrasts
from rl_pbt.errors import exit_status
from rl_pbt.recorded import manifest_of
from rl_pbt.store.run import RunFolder


def main(words: Sequence[str], program: str = "rl-pbt report") -> int:
    """Write the report of the run that the words name, print its outcome, and return the exit status."""
    parser = build_parser(program)
    return exit_status(lambda: _report(parser, words, program), lambda error: in_flags(error, parser, words))


def build_parser(program: str) -> Parser:
    """The parser of this command."""
    parser = Parser(
        program,
        "Rebuild the report of a finished or interrupted run: its pages and plots, in its folder.",
        usage=[f"{program} RUN [--against METHOD] [--optuna URL]"],
        examples=[f"{program} results/ALE-Pacman-v5/RUN", f"{program} results/ALE-Pacman-v5/RUN --optuna sqlite:///studies.db"],
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="the run's folder, which holds manifest.json")
    against = "compare the others with this method, not the run's reference; of more than two methods, this is a second look"
    parser.add_argument("--against", metavar="METHOD", help=against)
    parser.add_argument("--optuna", metavar="URL", help="also write it as Optuna studies, into sqlite:///FILE.db")
    return parser


def _report(parser: Parser, words: Sequence[str], program: str) -> None:
    args = parser.parse_args(words)
    run = RunFolder(args.run)
    check_contrasts(manifest_of(run).config.methods, None, args.against)
    if args.optuna is not None:
        from rl_pbt.report.optuna_study import check_storage  # noqa: PLC0415

        check_storage(args.optuna)
    from rl_pbt.cli.ending import print_end  # noqa: PLC0415 - plots take longer to load than everything else
    from rl_pbt.report import write_report  # noqa: PLC0415

    print_end(write_report(run, args.against), run, program)
    if args.optuna is not None:
        from rl_pbt.report.optuna_study import write_studies  # noqa: PLC0415

        print("studies:", *write_studies(run, args.optuna))
