"""The figures of README, drawn from committed ledgers. Run as

python -m benchmarks.pictures [--out FOLDER]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rl_pbt.provenance import ROOT
from rl_pbt.report import plots, style
from rl_pbt.report.evidence import read_evidence
from rl_pbt.report.family_tree import family_tree
from rl_pbt.store.run import RunFolder

RUN = ROOT / "results" / "reference" / "acrobot-v1"
IMAGES = ROOT / "docs" / "images"


def draw(folder: Path) -> list[Path]:
    """Draw the learning curves of all seeds, and the family tree of PBT's first seed. Returns their files."""
    evidence = read_evidence(RunFolder(RUN))
    config = evidence.config
    by_method = {method: list(by_seed.values()) for method, by_seed in evidence.histories.items()}
    heading = f"{evidence.title}, {config.population} members, {len(config.seeds)} seeds: fitness while learning"
    first = by_method["pbt"][0]
    figures = {
        "learning-curves": plots.learning_curves(by_method, words=evidence.words, title=heading),
        "family-tree": family_tree(first, evidence.layouts(first), title=f"{evidence.title}: pbt, seed {config.seeds[0]}"),
    }
    for name, figure in figures.items():
        style.save(figure, folder / f"{name}.png")
    return [folder / f"{name}.png" for name in figures]


def main(words: Sequence[str] | None = None) -> None:
    """Draw them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pictures", description="Draw the figures of README again.")
    parser.add_argument("--out", type=Path, default=IMAGES, metavar="FOLDER", help="where to (default: docs/images)")
    for path in draw(parser.parse_args(words).out):
        print(path)


if __name__ == "__main__":
    main()
