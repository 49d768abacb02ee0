"""`rl-pbt bench` and `rl-pbt tune`: make or resume a run, and print its outcome on the terminal."""

from __future__ import annotations

import argparse
import shlex
import sys
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rl_pbt.cli.ahead import begin_loading, look_ahead
from rl_pbt.cli.arguments import build_parser, settings_of, split_program
from rl_pbt.cli.dry_run import idle_workers, planned
from rl_pbt.cli.parser import in_flags
from rl_pbt.cli.resuming import where_it_stands
from rl_pbt.cli.starting import raise_again
from rl_pbt.errors import BadSetting, exit_status
from rl_pbt.executors.processes import end_if_unguarded
from rl_pbt.making import for_executor
from rl_pbt.named_code import code_in_words
from rl_pbt.observers import check_tracker
from rl_pbt.opening import Opened, open_run
from rl_pbt.options import Settings
from rl_pbt.running import Prepared, complete, owning, prepare
from rl_pbt.search import METHODS
from rl_pbt.store.run import RunFolder
from rl_pbt.text import shown

if TYPE_CHECKING:
    from rl_pbt.report import Summary

WIDTH = 100  # characters per line of the list of methods


def main(words: Sequence[str], program: str) -> int:
    """Run the command, and return its exit status."""
    parser = build_parser(program)
    return exit_status(lambda: train(words, program), lambda error: in_flags(error, parser, words))


def train(words: Sequence[str], program: str) -> None:
    """Make or resume the run that the words ask for. Raises UserError, and SystemExit if it is interrupted."""
    end_if_unguarded()
    args = _parsed(words, program)
    if "help" in (args.methods or ()):
        print(methods_help())
        return
    settings, how = for_executor(settings_of(args))
    check_tracker(args.track)
    if args.suite is not None:
        from rl_pbt.cli.suite import run_suite  # noqa: PLC0415 - it loads all that a run needs

        run_suite(args, settings, how, shlex.join([*program.split(), *words]))
    elif args.check:
        raise BadSetting("check", "compares the scores of a suite with what it expects: name one with --suite")
    else:
        _train_one(args, settings, how, program, words)


def _parsed(words: Sequence[str], program: str) -> argparse.Namespace:
    own, trained = split_program(words)
    args: argparse.Namespace = build_parser(program).parse_args(own)
    args.program = trained
    if trained and args.task is None:
        args.task = "command"
    return args


def _train_one(args: argparse.Namespace, settings: Settings, how: Settings, program: str, words: Sequence[str]) -> None:
    """Make or resume one run, or say what it would cost, or rebuild its report if nothing is left to train."""
    _load_ahead(args, settings, how)
    opened = open_run(settings, out=args.out, resume=args.resume)
    if args.dry_run:
        prepared = _prepared(opened, args, how)
        print(*planned(opened.config, prepared.task, prepared.workers)[0], sep="\n")
    elif opened.finished:
        _rebuild_report(opened.folder, program)
    else:
        with owning(_prepared(opened, args, how)) as owned:
            _carry_out(owned, program, words)


def _load_ahead(args: argparse.Namespace, settings: Settings, how: Settings) -> None:
    """Refuse what is wrong in any case, and then let workers load what they need, if that takes long."""
    needed = look_ahead(settings, resume=args.resume, workers=args.workers, executor=args.executor, how=how)
    if needed is not None and not args.dry_run:
        if sys.stdout.isatty():
            print("loading ...", flush=True)  # the imports that follow take seconds
        begin_loading(needed, args.executor)


def _prepared(opened: Opened, args: argparse.Namespace, how: Settings) -> Prepared:
    prepared = prepare(
        opened,
        args.workers,
        args.executor or "processes",
        how=how,
        keep_population=args.keep_population,
        track=args.track,
    )
    raise_again()
    return prepared


def _rebuild_report(folder: RunFolder, program: str) -> None:
    raise_again()
    print(f"{shown(folder.folder)} is finished: rebuilding its report")
    from rl_pbt.report import write_report  # noqa: PLC0415 - it takes longer to load than everything else

    _show(write_report(folder), folder, program)


def _carry_out(owned: Prepared, program: str, words: Sequence[str]) -> None:
    """Run what this process owns, from the first line on the terminal to the last."""
    folder, config = owned.opened.folder, owned.opened.config
    again = shlex.join([*program.split(), "--resume", shown(folder.folder), *code_in_words(config)])
    if owned.opened.manifest is None:
        print(f"run {shown(folder.folder)}; stop it with Ctrl-C, resume with: {again}", flush=True)
    else:
        print(f"resuming {shown(folder.folder)}: {where_it_stands(folder, config)}", flush=True)
    if idle := idle_workers(config, owned.workers):
        print(f"note: {idle}", flush=True)
    try:
        summary = complete(owned, command=shlex.join([*program.split(), *words]))
    except KeyboardInterrupt:
        print(f"\nstopped; resume with: {again}", file=sys.stderr)
        raise SystemExit(130) from None
    _show(summary, folder, program)


def _show(summary: Summary, folder: RunFolder, program: str) -> None:
    from rl_pbt.cli.ending import print_end  # noqa: PLC0415 - as above

    print_end(summary, folder, program)


def methods_help() -> str:
    """The list of search methods with their sources, grouped by kind."""
    width = max(map(len, METHODS)) + 3
    lines: list[str] = []
    for kind in dict.fromkeys(entry.kind for entry in METHODS.values()):
        lines.append(f"{kind}:")
        for name, entry in METHODS.items():
            if entry.kind == kind:
                text = f"{entry.description} ({entry.reference})"
                lines += textwrap.wrap(text, WIDTH, initial_indent=f"  {name}".ljust(width), subsequent_indent=" " * width)
    return "\n".join(lines)
