"""`rl-pbt table SOURCE --out FILE`: makes a table of a grid's learning curves, for `rl-pbt tune --task table`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rl_pbt.cli.parser import Parser, in_flags
from rl_pbt.errors import BadSetting, exit_status, plain_text
from rl_pbt.store.files import write_durably
from rl_pbt.store.run import RunFolder
from rl_pbt.text import counted, score_text, shown


def build_parser(program: str) -> Parser:
    """The parser of this command."""
    parser = Parser(
        program,
        "Make a table of learning curves, to compare methods on it in seconds (rl-pbt tune --task table --table FILE).",
        usage=[f"{program} RUN [--check OTHER ...] --out FILE.json", f"{program} FOLDER --out FILE.json"],
        examples=[
            f"{program} results/CartPole-v1/GRID --check results/CartPole-v1/PBT --out cartpole.json",
            f"{program} data_arl_bench/PPO/CartPole-v1 --out ppo.json",
        ],
    )
    add = parser.add_argument
    add("source", type=Path, metavar="SOURCE", help="a run of --methods grid; or a folder of HPO-RL-Bench's files")
    checks = "runs of the same training whose hyperparameters change, to measure the error of the model of a change"
    add("--check", type=Path, nargs="+", default=[], metavar="RUN", help=checks)
    add("--out", type=Path, metavar="FILE", help="the file to write")
    return parser


def main(words: Sequence[str], program: str) -> int:
    """Run the command, and return its exit status."""
    parser = build_parser(program)

    def make() -> None:
        args = parser.parse_args(words)
        if args.out is None:
            raise BadSetting("out", "is missing: say which file to write, as in --out cartpole.json")
        _write(args.source, args.check, args.out)

    return exit_status(make, lambda error: in_flags(error, parser, words))


def _write(source: Path, checks: Sequence[Path], out: Path) -> None:
    from rl_pbt.tabulating import table_of  # noqa: PLC0415 - it loads the code for tables, which an error does not need
    from rl_pbt.tasks.table.hpo_rl_bench import read_folder  # noqa: PLC0415

    if RunFolder(source).begun or not source.is_dir():
        table = table_of(source, checks)
    elif checks:
        raise BadSetting("check", "needs a run of grid search: curves of another project were trained otherwise")
    else:
        table = read_folder(source)
    write_durably(out, table.to_bytes())
    header = table.header
    title = plain_text(header.title)  # it may come from somebody else's file names
    print(f"{title}: {counted(header.points, 'point')}, {counted(len(header.seeds), 'seed')}, {header.units:,} units")
    if (found := header.switches) is not None:
        unmoved = f"predicting no change: {score_text(found.unmoved)}"
        print(f"error of the model of a change: {score_text(found.error)} ({found.checked:,} checked; {unmoved})")
    print(f"table: {shown(out.absolute())}")
