"""The soak, for eight rounds: nothing but memory may grow."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks import soak


def test_growth_is_from_quarter_to_quarter_after_the_warm_up() -> None:
    assert soak.grown([100, 100, 1, 2, 3, 4, 5, 9]) == {"first": 1, "last": 9, "most": 9}


@pytest.mark.nightly
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_nothing_is_left_behind(tmp_path: Path) -> None:
    out = tmp_path / "soak.json"
    soak.main(["--minutes", "0", "--out", str(out)])
    counted = json.loads(out.read_text())["results"]["0 minutes"]["counted"]
    for name in ("descriptors", "threads", "children", "temporary"):
        assert counted[name]["last"] <= counted[name]["first"], (name, counted[name])
    assert out.with_suffix(".md").exists()
