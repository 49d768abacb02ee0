"""What is on disk: the torn line, the damaged line, the truncated checkpoint, the full disk."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from rl_pbt.errors import UserError
from rl_pbt.records import Cost, FinalTest, Proposal, Result
from rl_pbt.store import run as store
from rl_pbt.store.events import Chosen, Ended, FinalTested, Finished, Proposed, from_json
from rl_pbt.store.run import FolderCheckpoints, Ledger, RunFolder, write_durably

PROPOSAL = Proposal(id=0, member=0, generation=0, hypers={"lr": 0.1}, parent=None, units=3)
EVENTS = [Proposed(proposal=PROPOSAL), Finished(result=Result(proposal=0, fitness=1.0, returns=(1.0,)), time=5.0)]


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
    ends = [place + 1 for place, byte in enumerate(whole) if byte == ord("\n")]  # of the header and of each event
    for cut in range(len(whole)):
        ledger.path.write_bytes(whole[:cut])
        kept = max(0, sum(end <= cut for end in ends) - 1)
        assert ledger.repair() == EVENTS[:kept]
        ledger.append(EVENTS[kept:])
        assert ledger.path.read_bytes() == whole


@pytest.mark.parametrize("bad", [b"{\n", b"[1]\n", b'{"no": "event"}\n', b"\xff\n", b'{"event": "dreamt"}\n'])
def test_any_other_bad_line_names_file_and_line_and_is_left_alone(tmp_path: Path, bad: bytes) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append(EVENTS)
    content = ledger.path.read_bytes()
    ledger.path.write_bytes(damaged := content[: content.index(b"\n") + 1] + bad + content)
    with pytest.raises(UserError, match=r"ledger\.jsonl, line 2 is damaged"):
        ledger.repair()
    assert ledger.path.read_bytes() == damaged


def test_checkpoints_keep_names_shapes_and_types(tmp_path: Path) -> None:
    checkpoints = FolderCheckpoints(tmp_path)
    state = {"w": np.arange(6, dtype=np.float32).reshape(2, 3).T, "count": np.array(3)}
    checkpoints.save(7, state)
    loaded = checkpoints.load(7)
    assert loaded.keys() == state.keys()
    for name, array in state.items():
        assert loaded[name].dtype == array.dtype and loaded[name].shape == array.shape
        np.testing.assert_array_equal(loaded[name], array)


def test_missing_and_truncated_checkpoints_are_one_line_each(tmp_path: Path) -> None:
    checkpoints = FolderCheckpoints(tmp_path)
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
    checkpoints = FolderCheckpoints(tmp_path)
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
    checkpoints = FolderCheckpoints(tmp_path)
    checkpoints.save_together({id_: {"w": np.full(2, id_)} for id_ in (4, 5, 7)})
    checkpoints.save(6, {"w": np.full(2, 66)})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000004-000007.safetensors", "000006.safetensors"]
    for reader in (checkpoints, FolderCheckpoints(tmp_path)):
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
        RunFolder(tmp_path).manifest()
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(UserError, match="is damaged"):
        RunFolder(tmp_path).manifest()


def test_a_ledger_of_version_1_can_be_read_and_not_continued(tmp_path: Path) -> None:
    lines = [
        {"event": "proposed", "proposal": {**PROPOSAL.to_json(), "frames": 3}},
        {"event": "finished", "time": 5.0, "result": {
            "id": 0, "fitness": 1.0, "failure": None, "returns": [1.0], "metrics": {}, "lineage_frames": 3,
            "cost": {"train_frames": 3, "eval_frames": 1, "updates": 2, "cpu_s": 0.0, "wall_s": 0.0},
        }},
        {"event": "chosen", "id": 0},
        {"event": "ended"},
    ]  # fmt: skip
    del lines[0]["proposal"]["units"]  # type: ignore[attr-defined]
    path = tmp_path / "ledger.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    proposed, finished, chosen, ended = Ledger(path).read()
    assert proposed == Proposed(proposal=PROPOSAL) and chosen == Chosen(proposal=0) and ended == Ended()
    assert isinstance(finished, Finished) and finished.result.cost.units == 4 and finished.result.lineage_units == 3
    with pytest.raises(UserError, match="can be reported"):
        Ledger(path).repair()


def test_a_ledger_of_a_later_version_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text('{"event": "ledger", "version": 3}\n')
    with pytest.raises(UserError, match="which a later rl_pbt writes"):
        Ledger(path).read()


def test_every_event_comes_back_from_json() -> None:
    test = FinalTest(proposal=0, returns=(1.0, 2.0), cost=Cost(eval_units=3), capped=1)
    for event in (*EVENTS, Chosen(proposal=None), FinalTested(test=test), Ended()):
        assert from_json(json.loads(json.dumps(event.to_json()))) == event
