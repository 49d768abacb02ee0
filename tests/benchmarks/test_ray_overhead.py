"""Ray beside worker processes, for a moment."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks import ray_overhead


@pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray, of the extra ray")
def test_both_are_timed(tmp_path: Path) -> None:
    out = tmp_path / "overhead.json"
    ray_overhead.main(["--env", "CartPole-v1", "--frames", "2000", "--repeats", "1", "--out", str(out)])
    found = json.loads(out.read_text())["results"]["CartPole-v1"]
    assert found["ratio"]["median"] > 0 and all(one["median"] > 0 for one in found["seconds"].values())
    assert len(out.with_suffix(".md").read_text().splitlines()) == 3
