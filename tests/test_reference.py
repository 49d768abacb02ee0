"""Committed reference runs say what their ledgers say, and can still be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rl_pbt.report import summarise
from rl_pbt.store import Run

REFERENCE = Path(__file__).resolve().parent.parent / "results" / "reference"
RUNS = sorted(path.parent for path in REFERENCE.glob("*/manifest.json"))


@pytest.mark.parametrize("folder", RUNS, ids=lambda folder: folder.name)
def test_a_summary_is_what_its_ledgers_give(folder: Path) -> None:
    assert summarise(Run(folder)) == json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    manifest = Run(folder).manifest()
    assert manifest["status"] == "finished" and manifest["commit"] and "dirty" not in manifest["commit"]


def test_every_folder_is_in_the_index() -> None:
    index = (REFERENCE / "README.md").read_text(encoding="utf-8")
    folders = {path.name for path in REFERENCE.iterdir() if path.is_dir() and path.name != "comparison"}
    folders |= {f"comparison/{path.name}" for path in (REFERENCE / "comparison").iterdir()}
    assert RUNS and all(f"`{name}`" in index for name in folders), folders
