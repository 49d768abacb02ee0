"""README's figures are what its script draws of the committed ledgers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.pictures import IMAGES, main


def test_the_committed_figures_are_those_of_the_ledgers(tmp_path: Path) -> None:
    main(["--out", str(tmp_path)])
    drawn = sorted(tmp_path.iterdir())
    assert [path.name for path in drawn] == ["family-tree.png", "learning-curves.png"]
    for path in drawn:
        with Image.open(path) as ours, Image.open(IMAGES / path.name) as committed:
            assert ours.size == committed.size
            ours_grey, theirs = (np.asarray(one.convert("L"), dtype=float) for one in (ours, committed))
        assert np.abs(ours_grey - theirs).mean() < 1, f"{path.name} is another picture: make pictures"
