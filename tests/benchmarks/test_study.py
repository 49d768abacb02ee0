"""The script that runs the study: what it leaves of a suite is enough to make its page again."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.study import STUDY, main
from rl_pbt.cli.compacting import main as compact
from rl_pbt.suites.definition import frozen_suites


def test_the_study_has_every_suite_that_is_named_for_it() -> None:
    assert {name for name in frozen_suites() if name.startswith("study-")} <= set(STUDY) <= frozen_suites().keys()


def test_what_is_kept_of_a_suite_makes_its_page_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["paper-toy", "--out", str(tmp_path)])
    folder = tmp_path / "paper-toy"
    page = (folder / "suite.md").read_bytes()
    kept = {path.name for path in folder.rglob("*") if path.is_file() and path.parent != folder}
    assert compact([str(folder)], "rl-pbt compact") == 0, "and it can be compacted as a whole, if it was not"
    assert f"compacted {folder / 'quadratic'}" in capsys.readouterr().out
    assert kept == {"manifest.json", "summary.json", "ledger.jsonl.gz"}
    (folder / "suite.md").unlink()
    main(["paper-toy", "--out", str(tmp_path)])
    assert (folder / "suite.md").read_bytes() == page
    with pytest.raises(SystemExit):
        main(["paper"])
    assert "unknown suite 'paper'" in capsys.readouterr().err
