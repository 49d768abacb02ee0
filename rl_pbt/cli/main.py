"""Where every command starts: `rl-pbt bench|tune|report|play|compare|export|compact|table|config`.

It imports little until it knows which command is wanted: worker processes import the main module again, and what the command line
needs, TensorBoard and plots above all, would double their start-up time.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from rl_pbt import __version__
from rl_pbt.cli.encoding import print_anywhere
from rl_pbt.cli.starting import end_at_once, raise_again
from rl_pbt.errors import near_names

# Command -> the module whose `main(words, program)` runs it, and its line in `--help`.
COMMANDS = {
    "bench": ("rl_pbt.cli.command", "compare PBT with its baselines on an environment"),
    "tune": ("rl_pbt.cli.command", "the same for your own training code: a class, or any program"),
    "report": ("rl_pbt.cli.reporting", "write the report of a finished or interrupted run"),
    "play": ("rl_pbt.cli.playing", "watch the winner of a run play"),
    "compare": ("rl_pbt.cli.comparing", "compare several runs: a table, verdicts and curves"),
    "export": ("rl_pbt.cli.exporting", "write a winner's policy as a file that needs no rl_pbt"),
    "compact": ("rl_pbt.cli.compacting", "compress the ledgers of finished runs, and delete their checkpoints"),
    "table": ("rl_pbt.cli.tabulating", "make a table of learning curves, to compare methods on it in seconds"),
    "config": ("rl_pbt.cli.configuration", "print the configuration of a run as TOML, for another run"),
}
TRAINS = ("bench", "tune")
LOADS_TORCH = (*TRAINS, "play", "export")  # once it knows what for; it calls `raise_again` itself


def main(words: Sequence[str] | None = None, program: str | None = None) -> None:
    """Run the command that the `words` name, by default this process's arguments. Raises SystemExit with its exit status."""
    words = sys.argv[1:] if words is None else words
    _look_around()
    print_anywhere()
    name = words[0] if words else "--help"
    if name in ("--help", "-h"):
        print(_help())
        return
    if name == "--version":
        print(f"rl_pbt {__version__}")
        return
    if name not in COMMANDS:
        print(f"error: unknown command {name!r}: {near_names(name, COMMANDS)}", file=sys.stderr)
        raise SystemExit(2)
    raise SystemExit(_started(name, words[1:], program or f"rl-pbt {name}"))


def _look_around() -> None:
    """Make modules of the current folder importable, as in `--env envs:MyEnv-v0`, however the command was started."""
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)


def _started(name: str, words: Sequence[str], program: str) -> int:
    end_at_once()
    try:
        command = import_module(COMMANDS[name][0]).main
        if name not in LOADS_TORCH:
            raise_again()
        status: int = command(words, program)
    finally:
        raise_again()  # for a caller whose process goes on
    return status


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {told}" for name, (_, told) in COMMANDS.items()]
    return "\n".join(["usage: rl-pbt COMMAND ...\n", *lines, "\nOptions: rl-pbt COMMAND --help. Version: rl-pbt --version."])
