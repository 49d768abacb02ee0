"""SB3's PPO as a member and alone, for a moment."""

import json
from pathlib import Path

import pytest

from benchmarks import members


def test_both_are_trained_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "members.json"
    members.main(["--env", "CartPole-v1", "--seeds", "2", "--share", "0.03", "--out", str(out)])
    (entry,) = json.loads(out.read_text())["results"].values()
    assert len(entry["member"]["mean_test_returns"]) == len(entry["alone"]["mean_test_returns"]) == 2
    assert "| CartPole-v1 | member | 2,560 |" in capsys.readouterr().out
