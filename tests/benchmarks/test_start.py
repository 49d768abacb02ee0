"""How long commands take to begin, once each."""

import json
import os
from pathlib import Path

import pytest

from benchmarks import start


def test_each_begins(tmp_path: Path) -> None:
    out = tmp_path / "start.json"
    start.main(["--repeats", "1", "--out", str(out)])
    found = json.loads(out.read_text())["results"]
    assert list(found) == list(start.WHAT)
    assert all(0.05 < one["seconds"]["median"] < 600 for one in found.values())
    assert len(out.with_suffix(".md").read_text().splitlines()) == 2 + len(start.WHAT)


def test_a_command_that_ends_in_another_way_is_not_measured() -> None:
    with pytest.raises(SystemExit, match="--no-such-flag ended with status 2"):
        start.cpu_seconds(os.environ, ["--no-such-flag"], 0)
