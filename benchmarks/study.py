"""The study of the project, and its other suites: each in a folder of results/reference, reduced to what its page is made of.

    python -m benchmarks.study [NAME ...] [--out FOLDER]

NAME is a suite or `replay`: fresh weights on the schedules that PBT found in `study-wide`, on the environments of
`study-secondary`, with runs in place of a suite, since what they replay has to be there first.

Seeds, budgets and the contrast that is tested are in the files of the suites, which were committed before the first frame. A
suite that was stopped continues where it was. When all its cells have ended, their ledgers are compressed, and what only training
needed is deleted; the page can be made again from what is left, by the same command.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measuring import trim
from rl_pbt.cli.command import main as bench
from rl_pbt.errors import did_you_mean
from rl_pbt.suites.definition import find_suite, frozen_suites

REFERENCE = Path("results") / "reference"
# The primary question at two sizes of population and in narrow ranges; with another agent; where nothing is to be found; what it
# was that helped; and on Atari.
STUDY = (
    "study-wide",
    "study-wide-16",
    "study-narrow",
    "study-ppo",
    "study-cartpole",
    "study-secondary",
    "replay",
    "atari-pacman",
)
REPLAYED, CELLS_FROM = "study-wide", "study-secondary"


def measure(name: str, folder: Path) -> None:
    """Run or continue a suite in `folder`, write its page, and keep what it is made of. Raises SystemExit if a cell failed."""
    if status := bench(["--suite", name, "--out", str(folder)], "rl-pbt bench"):
        raise SystemExit(status)
    for cell in find_suite(name).cells:
        trim(folder / cell.name)


def replay(reference: Path, folder: Path) -> None:
    """Run or continue the replays, one run for each environment, and keep their ledgers. Raises SystemExit if one failed."""
    for cell in find_suite(CELLS_FROM).cells:
        found, ours = reference / REPLAYED / cell.name, folder / cell.name
        begun = ["--resume", str(ours)] if ours.exists() else ["--config", str(found), "--out", str(ours)]
        if status := bench([*begun, "--methods", f"replay:{found}"], "rl-pbt bench"):
            raise SystemExit(status)
        trim(ours)


def main(words: Sequence[str] | None = None) -> None:
    """Run what the command line names, one after another."""
    arguments = argparse.ArgumentParser(prog="python -m benchmarks.study", description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("names", nargs="*", default=STUDY, metavar="NAME", help=f"(default: {' '.join(STUDY)})")
    arguments.add_argument("--out", type=Path, default=REFERENCE, metavar="FOLDER", help=f"(default: {REFERENCE})")
    args = arguments.parse_args(words)
    known = [*frozen_suites(), "replay"]
    if unknown := [name for name in args.names if name not in known]:
        arguments.error(str(did_you_mean("suite", unknown[0], known)))
    for name in args.names:
        if name == "replay":
            replay(args.out, args.out / "study-replay")
        else:
            measure(name, args.out / name)


if __name__ == "__main__":
    main()
