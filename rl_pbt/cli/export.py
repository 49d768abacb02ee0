"""`rl-pbt export RUN FILE`: the winner's policy as a file that needs no rl_pbt."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rl_pbt.api import load
from rl_pbt.cli.arguments import in_flags
from rl_pbt.errors import exit_status
from rl_pbt.parser import Parser
from rl_pbt.text import shown


def build_parser(program: str) -> argparse.ArgumentParser:
    """Its flags."""
    parser = Parser(prog=program, description="Write a winner's policy as a file that needs no rl_pbt.", allow_abbrev=False)
    add = parser.add_argument
    add("run", type=Path, help="the run's folder, which holds manifest.json")
    add("file", type=Path, help="where to: FILE.onnx; or FILE.pt2 or FILE.pt for torch.export.load")
    add("--env", help="the environment again, where it is of a module (module:Id): a run imports no code by itself")
    add("--method", help="whose winner (default: the best tested of all)")
    add("--seed", type=int, help="of which seed (default: the best tested of all)")
    return parser


def main(words: Sequence[str], program: str) -> int:
    """Run the command; its exit status."""
    parser = build_parser(program)

    def export() -> None:
        args = parser.parse_args(words)
        run = load(args.run, env=args.env)
        method, seed, _ = run.chosen(args.method, args.seed)
        path = run.export(args.file, method, seed)
        print(f"winner of {method}, seed {seed}: {shown(path.absolute())}")

    return exit_status(export, lambda error: in_flags(error, parser, words))
