"""`rl-pbt export RUN FILE`: writes the winner's policy to a file that needs no rl_pbt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rl_pbt.cli.parser import Parser, in_flags
from rl_pbt.cli.starting import raise_again
from rl_pbt.errors import exit_status
from rl_pbt.recorded import check_export, check_kept, chosen_winner, manifest_of
from rl_pbt.store.run import RunFolder
from rl_pbt.text import shown


def build_parser(program: str) -> Parser:
    """The parser of this command."""
    parser = Parser(
        program,
        "Write a winner's policy as a file that needs no rl_pbt.",
        usage=[f"{program} RUN FILE.onnx|FILE.pt2|FILE.pt [options]"],
        examples=[
            f"{program} results/ALE-Pacman-v5/RUN winner.onnx",
            f"{program} results/ALE-Pacman-v5/RUN pbt.pt2 --method pbt --seed 0",
        ],
    )
    add = parser.add_argument
    add("run", type=Path, metavar="RUN", help="the run's folder, which holds manifest.json")
    add("file", type=Path, metavar="FILE", help="the file to write: FILE.onnx; or FILE.pt2 or FILE.pt for torch.export.load")
    add(
        "--env",
        metavar="NAME",
        help="the environment again, if it is from a module (module:Id): a run imports no code by itself",
    )
    add("--method", metavar="NAME", help="whose winner (default: the best tested of all)")
    add("--seed", type=int, metavar="N", help="which seed's (default: the best tested of all)")
    return parser


def main(words: Sequence[str], program: str) -> int:
    """Run the command, and return its exit status."""
    parser = build_parser(program)

    def export() -> None:
        args = parser.parse_args(words)
        folder = RunFolder(args.run)
        config = manifest_of(folder).config
        check_export(config, args.file)
        check_kept(folder, *chosen_winner(folder, config, args.method, args.seed))
        from rl_pbt.api import load  # noqa: PLC0415 - it loads torch

        raise_again()
        run = load(args.run, env=args.env)
        method, seed, _ = run.chosen(args.method, args.seed)
        path = run.export(args.file, method, seed)
        print(f"winner of {method}, seed {seed}: {shown(path.absolute())}")

    return exit_status(export, lambda error: in_flags(error, parser, words))
