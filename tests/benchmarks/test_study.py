"""The script that runs the study: what it leaves of a suite is enough to make its page again."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import study
from benchmarks.study import STUDY, main
from rl_pbt.cli.compacting import main as compact
from rl_pbt.store.history import read_history
from rl_pbt.store.run import RunFolder
from rl_pbt.suites import definition
from rl_pbt.suites.definition import frozen_suites


def test_the_study_has_every_suite_that_is_named_for_it() -> None:
    assert {name for name in frozen_suites() if name.startswith("study-")} <= set(STUDY) <= {*frozen_suites(), "replay"}


SMALL = """
version = 1
description = "Small."
methods = ["pbt", "random"]
primary = "pbt:random"
seeds = [0, 1, 2]

[settings]
task = "quadratic"
population = 4
budget = 40
interval = 10

[cells.quadratic]
scale = { zero = -0.4, one = 1.2, source = "the starting point; the best possible" }
"""


def test_what_is_kept_of_a_suite_makes_its_page_again_and_can_be_replayed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "small.toml").write_text(SMALL)
    monkeypatch.setattr(definition, "FROZEN", tmp_path / "suites")
    for name in ("REPLAYED", "CELLS_FROM"):
        monkeypatch.setattr(study, name, "small")
    out = ["--out", str(tmp_path)]
    main(["small", "replay", *out])
    folder = tmp_path / "small"
    page = (folder / "suite.md").read_bytes()
    kept = {path.name for path in folder.rglob("*") if path.is_file() and path.parent != folder}
    assert kept == {"manifest.json", "summary.json", "ledger.jsonl.gz"}
    assert compact([str(folder)], "rl-pbt compact") == 0, "and it can be compacted as a whole, if it was not"
    assert f"compacted {folder / 'quadratic'}" in capsys.readouterr().out
    (folder / "suite.md").unlink()
    main(["small", "replay", *out])
    assert (folder / "suite.md").read_bytes() == page
    assert read_history(RunFolder(tmp_path / "study-replay" / "quadratic"), "replay-schedule", 0).ended
    with pytest.raises(SystemExit):
        main(["smal"])
    assert "unknown suite 'smal'" in capsys.readouterr().err
