"""Speeds of agents and backends, for a moment each."""

import json
from pathlib import Path

import pytest

from benchmarks import families


def test_every_agent_and_backend_is_timed_and_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(families, "alone", lambda ask, question: ask(question))
    families.main(["--env", "CartPole-v1", "--repeats", "2", "--seconds", "0.2", "--out", str(tmp_path / "families.json")])
    found = json.loads((tmp_path / "families.json").read_text())["results"]["CartPole-v1"]
    assert set(found["agents"]) == set(families.TIMED)
    assert all(one["min"] <= one["median"] <= one["max"] and one["median"] > 100 for one in found["agents"].values())
    assert found["environment alone"]["gymnasium"]["median"] > found["agents"]["a2c"]["median"]
    row = (tmp_path / "families.md").read_text().splitlines()[-1]
    assert row.startswith("| CartPole-v1 | ") and row.count("|") == 12

    assert "nothing" in str(families.environment_speed(("CartPole-v1", "nothing", 0.1)))
    assert families.ratio_text("absent", {"median": 1.0}) == "–"

    del found["agents"][families.OVERLAPPED]
    assert families.page({"CartPole-v1": found}).splitlines()[-1].count("–") == row.count("–") + 2, "made before it was timed"
