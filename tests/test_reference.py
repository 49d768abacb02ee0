"""Committed reference runs say what their ledgers say, and can still be read, whatever version made them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rl_pbt.report import summarise
from rl_pbt.store.run import RunFolder

REFERENCE = Path(__file__).resolve().parent.parent / "results" / "reference"
RUNS = sorted(path.parent for path in REFERENCE.rglob("manifest.json") if any(path.parent.rglob("ledger.jsonl")))
COMPARED = ("status", "command", "commit", "seeds", "population", "methods", "comparison", "further_comparisons")
IN_WORDS = ("verdict", "refused")  # of a comparison: these may be put better


def in_todays_words(value: Any) -> Any:
    """A summary of version 1, or a part of one, as it would be said now."""
    if isinstance(value, list):
        return [in_todays_words(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    renamed = {"random_policy": "baseline", "id": "proposal", "budget_frames": "budget"}
    return {renamed.get(name, name.replace("_frames", "_units")): in_todays_words(entry) for name, entry in value.items()}


ADDED = ("test_episodes_excluded", "test_failure", "max_episode_frames", "anytime_test_curve", "method_s")


def numbers(summary: dict[str, Any]) -> dict[str, Any]:
    """What must never change of a summary: all but its wording."""
    kept = {name: summary[name] for name in COMPARED}
    for comparison in (kept["comparison"], *kept["further_comparisons"]):
        comparison |= {name: bool(comparison[name]) for name in IN_WORDS}
    return kept


def without_additions(value: Any) -> Any:
    """A summary without fields that were added since, which say nothing of a run in which nothing failed and
    nobody measured what methods took.
    """
    if isinstance(value, list):
        return [without_additions(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    assert not value.get("test_episodes_excluded") and value.get("test_failure") is None
    assert value.get("max_episode_frames") is None and not value.get("method_s")
    return {name: without_additions(entry) for name, entry in value.items() if name not in ADDED}


@pytest.mark.parametrize("folder", RUNS, ids=lambda folder: folder.name)
def test_a_summary_is_what_its_ledgers_give(folder: Path) -> None:
    committed = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    found = json.loads(json.dumps(summarise(RunFolder(folder)).to_json()))
    if committed.get("version", 1) == 1:
        assert without_additions(numbers(found)) == without_additions(numbers(in_todays_words(committed)))
    else:
        assert without_additions(found) == without_additions(committed)
    manifest = RunFolder(folder).manifest()
    assert manifest.status == "finished" and manifest.last.commit and "dirty" not in manifest.last.commit


def test_every_folder_is_in_the_index() -> None:
    index = (REFERENCE / "README.md").read_text(encoding="utf-8")
    folders = {path.name for path in REFERENCE.iterdir() if path.is_dir() and path.name != "comparison"}
    folders |= {f"comparison/{path.name}" for path in (REFERENCE / "comparison").iterdir()}
    assert RUNS and all(f"`{name}`" in index for name in folders), folders
