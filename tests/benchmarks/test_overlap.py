"""Ways of using a second core, for a moment each."""

import json
import os
from pathlib import Path

import pytest

from benchmarks import overlap


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="needs two cores that can be chosen"
)
def test_every_way_is_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cores = os.sched_getaffinity(0)
    monkeypatch.setattr(overlap, "alone", lambda ask, question: ask(question))
    monkeypatch.setattr(overlap, "MEMBERS", 1)
    monkeypatch.setattr(overlap, "CORES", (2,))
    try:
        overlap.main(["--env", "ALE/Breakout-v5", "--repeats", "1", "--unrolls", "2", "--out", str(tmp_path / "overlap.json")])
    finally:
        os.sched_setaffinity(0, cores)
    found = json.loads((tmp_path / "overlap.json").read_text())["results"]["ALE/Breakout-v5"]
    assert all(found["2 cores"][way]["median"] > 10 for way in overlap.WAYS)
    lines = (tmp_path / "overlap.md").read_text().splitlines()
    assert len(lines) == 3 and all(line.count("x)") == len(overlap.WAYS) for line in lines[2:])


def test_fewer_cores_than_it_compares_are_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    with pytest.raises(SystemExit):
        overlap.main([])
    assert "and 2 of them" in capsys.readouterr().err
