"""A run that goes on elsewhere says so in one line, and its manifest keeps the list."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

import rl_pbt
from rl_pbt import provenance
from rl_pbt.store.run import RunFolder

pytestmark = pytest.mark.usefixtures("without_pages")

SMALL = {"population": 2, "budget": 40, "interval": 20, "workers": 1, "quiet": True}


def begun(folder: Path) -> None:
    """A run that has begun, as after a kill."""
    rl_pbt.tune("quadratic", {}, out=folder, **SMALL)
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "status": "running"}))
    for ledger in folder.rglob("ledger.jsonl"):
        ledger.unlink()


@pytest.mark.parametrize(
    ("what", "now", "told"),
    [
        ("versions", {"torch": "9.9"}, "torch"),
        ("hardware", {"cpu": "another"}, "cpu"),
        ("commit", "0" * 40, f"commit .* then, {'0' * 40} now"),
    ],
)
def test_a_session_that_is_not_as_the_one_before_says_so(
    what: str, now: object, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    begun(tmp_path / "run")
    before = getattr(provenance, what)()
    monkeypatch.setattr(provenance, what, lambda: {**before, **now} if isinstance(now, dict) else now)
    rl_pbt.tune("quadratic", {}, resume=tmp_path / "run", **SMALL)
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("warning: not as in the session before (") and "may differ in their last digits" in lines[0]
    assert re.search(told, lines[0])
    sessions = RunFolder(tmp_path / "run").manifest().sessions
    assert len(sessions) == 2 and sessions[1].differences(sessions[0])


def test_a_session_that_is_as_the_one_before_says_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    begun(tmp_path / "run")
    rl_pbt.tune("quadratic", {}, resume=tmp_path / "run", **SMALL)
    assert capfd.readouterr().err == ""
    sessions = RunFolder(tmp_path / "run").manifest().sessions
    assert len(sessions) == 2 and not sessions[1].differences(sessions[0])


def test_packages_that_were_installed_since_change_nothing(tmp_path: Path) -> None:
    begun(tmp_path / "run")
    (session,) = RunFolder(tmp_path / "run").manifest().sessions
    assert replace(session, versions={**session.versions, "another": "1.0"}).differences(session) == []
    assert "numpy" in replace(session, versions={**session.versions, "numpy": "0.1"}).differences(session)[0]


def test_what_only_torch_knows_is_compared_where_both_sessions_had_loaded_it(tmp_path: Path) -> None:
    begun(tmp_path / "run")
    (session,) = RunFolder(tmp_path / "run").manifest().sessions
    began = replace(session, hardware={"machine": "x86_64", "devices": [], "torch kernels": "AVX512"})
    without = replace(session, hardware={"machine": "x86_64"})
    assert began.differences(without) == without.differences(began) == []
    other = replace(session, hardware={"machine": "x86_64", "devices": [], "torch kernels": "AVX2"})
    assert other.differences(began) == ["torch kernels AVX512 then, AVX2 now"]
