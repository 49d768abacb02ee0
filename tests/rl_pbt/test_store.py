"""What is on disk: the torn line, the damaged line, the truncated checkpoint, the full disk."""

import os
from pathlib import Path

import numpy as np
import pytest

from rl_pbt import store
from rl_pbt.records import UserError
from rl_pbt.store import Checkpoints, Ledger, Run, write_durably

EVENTS = [{"event": "proposed", "id": 0}, {"event": "finished", "id": 0}]


def test_events_come_back_in_order(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "deep" / "ledger.jsonl")
    assert ledger.read() == []
    ledger.append(EVENTS[:1])
    ledger.append(EVENTS[1:])
    assert ledger.read() == EVENTS


def test_every_torn_tail_is_dropped_and_the_next_event_starts_a_line(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append(EVENTS)
    whole = ledger.path.read_bytes()
    second = whole.index(b"\n") + 1
    for cut in range(second, len(whole)):
        ledger.path.write_bytes(whole[:cut])
        assert ledger.repair() == EVENTS[:1]
        ledger.append(EVENTS[1:])
        assert ledger.path.read_bytes() == whole


@pytest.mark.parametrize("bad", [b"{\n", b"[1]\n", b'{"no": "event"}\n', b"\xff\n"])
def test_any_other_bad_line_names_file_and_line_and_is_left_alone(tmp_path: Path, bad: bytes) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append(EVENTS)
    content = ledger.path.read_bytes()
    ledger.path.write_bytes(damaged := content[: content.index(b"\n") + 1] + bad + content)
    with pytest.raises(UserError, match=r"ledger\.jsonl, line 2 is damaged"):
        ledger.repair()
    assert ledger.path.read_bytes() == damaged


def test_checkpoints_keep_names_shapes_and_types(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    state = {"w": np.arange(6, dtype=np.float32).reshape(2, 3).T, "count": np.array(3)}
    checkpoints.save(7, state)
    loaded = checkpoints.load(7)
    assert loaded.keys() == state.keys()
    for name, array in state.items():
        assert loaded[name].dtype == array.dtype and loaded[name].shape == array.shape
        np.testing.assert_array_equal(loaded[name], array)


def test_missing_and_truncated_checkpoints_are_one_line_each(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    with pytest.raises(UserError, match="is missing"):
        checkpoints.load(0)
    checkpoints.save(0, {"w": np.zeros(100)})
    content = checkpoints.path(0).read_bytes()
    for size in (0, 5, 60, len(content) - 1):
        checkpoints.path(0).write_bytes(content[:size])
        with pytest.raises(UserError, match="is damaged") as error:
            checkpoints.load(0)
        assert "\n" not in str(error.value)


def test_keep_only_removes_the_rest_and_interrupted_writes(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for proposal in range(4):
        checkpoints.save(proposal, {"w": np.zeros(1)})
    (tmp_path / ".000009.safetensors.1.tmp").write_bytes(b"half")
    (tmp_path / ".000003.safetensors.1.tmp").write_bytes(b"half")
    checkpoints.keep_only({1}, being_written=[3])
    left = [".000003.safetensors.1.tmp", "000001.safetensors", "000003.safetensors"]
    assert sorted(path.name for path in tmp_path.iterdir()) == left
    checkpoints.keep_only({1, 3})
    assert sorted(path.name for path in tmp_path.iterdir()) == left[1:]


def test_many_small_checkpoints_share_a_file_until_none_of_them_is_needed(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save_together({id_: {"w": np.full(2, id_)} for id_ in (4, 5, 7)})
    checkpoints.save(6, {"w": np.full(2, 66)})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000004-000007.safetensors", "000006.safetensors"]
    for reader in (checkpoints, Checkpoints(tmp_path)):
        assert [reader.load(id_)["w"][0] for id_ in (4, 5, 6, 7)] == [4, 5, 66, 7]
        with pytest.raises(UserError, match=r"000003\.safetensors is missing"):
            reader.load(3)
    checkpoints.keep_only([7])
    assert [path.name for path in tmp_path.iterdir()] == ["000004-000007.safetensors"]
    checkpoints.leave_only([7])
    assert [path.name for path in tmp_path.iterdir()] == ["000007.safetensors"] and checkpoints.load(7)["w"][0] == 7
    checkpoints.leave_only([])
    assert list(tmp_path.iterdir()) == []


def test_full_disk_is_one_line_and_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_durably(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.os, "fsync", full)
    with pytest.raises(UserError, match="No space left on device; free space"):
        write_durably(path, b"new")
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["file"]


def test_a_real_full_file_system() -> None:
    """/dev/full answers every write as a full disk does."""
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    with pytest.raises(UserError, match="No space left"):
        Ledger(Path("/dev/full")).append(EVENTS)


def test_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a run"):
        Run(tmp_path).manifest()
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(UserError, match="is damaged"):
        Run(tmp_path).manifest()
