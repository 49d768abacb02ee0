"""A finished run that was compacted: the same report from smaller files, and nothing that cannot be trusted."""

from __future__ import annotations

import gzip
import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import rl_pbt
from rl_pbt.cli.main import main
from rl_pbt.errors import UserError
from rl_pbt.store import ledger
from rl_pbt.store.compacting import compact
from rl_pbt.store.history import read_history
from rl_pbt.store.run import RunFolder

SMALL = {"methods": ["pbt", "random"], "population": 4, "seeds": [0, 1], "workers": 1, "quiet": True}


pytestmark = pytest.mark.usefixtures("without_pages")


@pytest.fixture(scope="module")
def made(without_pages: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rl_pbt.tune("quadratic", {}, out=tmp_path_factory.mktemp("run") / "run", **SMALL).folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> RunFolder:
    """A copy of the run, with a file of somebody else's among its checkpoints."""
    shutil.copytree(made, tmp_path / "run")
    (tmp_path / "run" / "pbt" / "seed-0" / "checkpoints" / "notes.txt").write_text("mine")
    return RunFolder(tmp_path / "run")


def without_times(row: dict[str, Any]) -> dict[str, Any]:
    """A row without what differs from one machine, or one moment, to the next."""
    return {name: value for name, value in row.items() if name not in ("cpu_s", "wall_s", "method_s", "eval_cpu_s")}


def ledgers(run: RunFolder, suffix: str) -> list[Path]:
    return sorted(run.folder.rglob(f"ledger.jsonl{suffix}"))


def test_its_report_is_the_same_and_its_files_are_fewer(run: RunFolder) -> None:
    loaded = rl_pbt.load(run.folder)
    before, rows, size = loaded.summary.to_json(), loaded.rows(), sum(path.stat().st_size for path in ledgers(run, ""))
    compact(run)
    assert not ledgers(run, "") and len(ledgers(run, ".gz")) == 4
    assert sum(path.stat().st_size for path in ledgers(run, ".gz")) < size / 3
    assert not list(run.folder.rglob("*.safetensors")) and list(run.folder.rglob("notes.txt"))
    assert loaded.summary.to_json() == before and loaded.rows() == rows
    packed = [path.read_bytes() for path in ledgers(run, ".gz")]
    compact(run)
    assert [path.read_bytes() for path in ledgers(run, ".gz")] == packed


def test_it_is_replayed_and_compared_but_not_continued(
    run: RunFolder, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = rl_pbt.tune("quadratic", {}, out=tmp_path / "of-whole", **SMALL | {"methods": [f"replay:{made}"]})
    compact(run)
    replayed = rl_pbt.tune("quadratic", {}, out=tmp_path / "of-compacted", **SMALL | {"methods": [f"replay:{run.folder}"]})
    assert [without_times(row) for row in replayed.rows()] == [without_times(row) for row in whole.rows()]
    with pytest.raises(SystemExit) as ended:
        main(["compare", str(run.folder), str(made)])
    assert ended.value.code == 0
    assert rl_pbt.tune("quadratic", {}, resume=run.folder, workers=1, quiet=True).folder == run.folder
    capsys.readouterr()
    manifest = run.manifest_path.read_bytes()
    with pytest.raises(UserError, match=r"budget cannot be extended: .* was compacted"):
        rl_pbt.tune("quadratic", {}, resume=run.folder, budget=10_000, workers=1, quiet=True)
    assert run.manifest_path.read_bytes() == manifest, "it is as finished as before"
    with pytest.raises(UserError, match="was compacted: its winners' checkpoints are gone"):
        rl_pbt.load(run.folder).winner()


def test_a_ledger_that_was_compressed_is_not_appended_to(run: RunFolder) -> None:
    compact(run)
    with pytest.raises(UserError, match="can be reported, and not continued"):
        run.ledger("pbt", 0).repair()


def test_what_was_interrupted_is_compacted_to_its_end(run: RunFolder) -> None:
    plain = ledgers(run, "")[0]
    plain.with_name("ledger.jsonl.gz").write_bytes(b"half")
    expected = read_history(run, "pbt", 0)
    assert read_history(run, "pbt", 0) == expected, "the plain file counts"
    compact(run)
    assert read_history(run, "pbt", 0) == expected


@pytest.mark.parametrize("status", ["running", "failed", "interrupted"])
def test_a_run_that_has_not_ended_is_left_alone(run: RunFolder, status: str) -> None:
    run.write_manifest(replace(run.manifest(), status=status))  # type: ignore[arg-type]
    with pytest.raises(UserError, match="has not ended"):
        compact(run)
    assert len(ledgers(run, "")) == 4 and list(run.folder.rglob("*.safetensors"))


def test_damage_stays_as_it_is(run: RunFolder) -> None:
    path = ledgers(run, "")[0]
    path.write_bytes(path.read_bytes().replace(b'"fitness":', b'"fitnes":', 1))
    with pytest.raises(UserError, match="damaged"):
        compact(run)
    assert path.exists() and not ledgers(run, ".gz")


def test_any_flipped_bit_is_found_or_changes_nothing(run: RunFolder) -> None:
    expected = read_history(run, "pbt", 0)
    compact(run)
    path = ledgers(run, ".gz")[0]
    content, rng, found = path.read_bytes(), random.Random(0), 0
    for place in rng.sample(range(8 * len(content)), 300):
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            assert read_history(run, "pbt", 0) == expected
        except UserError as error:
            assert "damaged" in str(error) and "\n" not in str(error)
            found += 1
    assert found > 250
    path.write_bytes(content[:-20])
    with pytest.raises(UserError, match="damaged"):
        read_history(run, "pbt", 0)


def test_a_small_file_cannot_fill_the_memory(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    compact(run)
    path = ledgers(run, ".gz")[0]
    monkeypatch.setattr(ledger, "LARGEST", 10_000)
    path.write_bytes(gzip.compress(b" " * 1_000_000))
    with pytest.raises(UserError, match="too large to be a ledger"):
        read_history(run, "pbt", 0)


def test_links_lead_nowhere(run: RunFolder, tmp_path: Path) -> None:
    compact(run)
    path = ledgers(run, ".gz")[0]
    path.rename(tmp_path / "elsewhere.gz")
    path.symlink_to(tmp_path / "elsewhere.gz")
    with pytest.raises(UserError, match="cannot read"):
        read_history(run, "pbt", 0)


def test_the_command_says_what_it_did(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["compact", str(run.folder)])
    assert ended.value.code == 0 and capsys.readouterr().out.startswith("compacted ")


def test_nothing_is_touched_where_one_of_several_is_no_run(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["compact", str(run.folder), str(run.folder / "nowhere")])
    assert ended.value.code == 2 and capsys.readouterr().err.count("\n") == 1
    assert len(ledgers(run, "")) == 4
