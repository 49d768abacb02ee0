"""`rl-pbt bench` and `rl-pbt tune`: words in, one run made or resumed, its end on the terminal."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

from rl_pbt.cli.arguments import build_parser, in_flags, settings_of, split_program
from rl_pbt.cli.dry_run import plan_lines
from rl_pbt.errors import exit_status
from rl_pbt.report import terminal_summary, write_report
from rl_pbt.running import execute, open_run, prepare
from rl_pbt.search import METHODS


def main(words: Sequence[str], program: str) -> int:
    """Run the command; its exit status."""
    parser = build_parser(program)
    return exit_status(lambda: train(words, program), lambda error: in_flags(error, parser, words))


def train(words: Sequence[str], program: str) -> None:
    """Make or resume the run that the words ask for. Raises UserError, and SystemExit where it was interrupted."""
    own, trained = split_program(words)
    args = build_parser(program).parse_args(own)
    args.program = trained
    if "help" in (args.methods or ()):
        print(methods_help())
        return
    if trained and args.task is None:
        args.task = "command"
    opened = open_run(settings_of(args), out=args.out, resume=args.resume)
    if opened.finished and not args.dry_run:
        print(f"{opened.folder.folder} is finished: rebuilding its report")
    else:
        prepared = prepare(opened, args.workers, args.executor)
        if args.dry_run:
            print("\n".join(plan_lines(opened.config, prepared.task, prepared.workers)))
            return
        again = f"{program} --resume {opened.folder.folder}"
        print(f"run {opened.folder.folder}; stop it with Ctrl-C, resume with: {again}", flush=True)
        try:
            execute(prepared, command=shlex.join([*program.split(), *words]))
        except KeyboardInterrupt:
            print(f"\nstopped; resume with: {again}", file=sys.stderr)
            raise SystemExit(130) from None
    summary = write_report(opened.folder)
    print(terminal_summary(summary, opened.folder.folder / "summary.md"))


def methods_help() -> str:
    """Every search method with its source."""
    width = max(map(len, METHODS))
    return "\n".join(f"{name:{width}} {entry.description} ({entry.reference})" for name, entry in METHODS.items())
