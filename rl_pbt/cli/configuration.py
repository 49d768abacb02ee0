"""`rl-pbt config RUN`: prints the configuration of a run as TOML."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rl_pbt.cli.parser import Parser
from rl_pbt.cli.toml import toml_of
from rl_pbt.errors import exit_status
from rl_pbt.recorded import manifest_of
from rl_pbt.store.run import RunFolder


def main(words: Sequence[str], program: str) -> int:
    """Run the command, and return its exit status."""
    return exit_status(lambda: print(toml_of(manifest_of(RunFolder(build_parser(program).parse_args(words).run)).config), end=""))


def build_parser(program: str) -> Parser:
    """The parser of this command, with its one argument."""
    parser = Parser(
        program,
        "Print the configuration of a run as TOML, with every setting, for another run.",
        usage=[f"{program} RUN"],
        examples=[f"{program} results/ALE-Pacman-v5/RUN > again.toml", "rl-pbt bench --config again.toml --seeds 1 2 3"],
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="the run's folder, which holds manifest.json")
    return parser
