"""What is on disk: the torn line, the damaged line, the truncated checkpoint, the full disk."""

import gzip
import json
import os
import shutil
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest

from rl_pbt.errors import UserError
from rl_pbt.records import Cost, FinalTest, Proposal, Result
from rl_pbt.store import files
from rl_pbt.store.checkpoints import FolderCheckpoints
from rl_pbt.store.events import Chosen, Ended, Event, FinalTested, Finished, Header, Proposed, from_json
from rl_pbt.store.files import write_durably
from rl_pbt.store.ledger import Ledger
from rl_pbt.store.run import RunFolder

PROPOSAL = Proposal(id=0, member=0, generation=0, hypers={"lr": 0.1}, parent=None, units=3)
EVENTS = [Proposed(proposal=PROPOSAL), Finished(result=Result(proposal=0, fitness=1.0, returns=(1.0,)), time=5.0)]


def test_events_come_back_in_order(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "deep" / "ledger.jsonl")
    assert ledger.read() == []
    ledger.append(EVENTS[:1])
    ledger.append(EVENTS[1:])
    assert ledger.read() == EVENTS


@pytest.mark.parametrize(
    ("name", "text", "is_cell"),
    [
        ("one", "[cells.one]\n", True),
        ("other", "[cells.one]\n", False),
        *(("one", text, False) for text in ("", "cells = 3\n", "[")),
    ],
)
def test_a_run_is_a_cell_if_the_suite_above_it_says_so(name: str, text: str, is_cell: bool, tmp_path: Path) -> None:
    assert not RunFolder(tmp_path / name).is_cell
    (tmp_path / "suite.toml").write_text(text)
    assert RunFolder(tmp_path / name).is_cell is is_cell


BATCHES: list[list[Event]] = [
    list(EVENTS),
    [Proposed(proposal=PROPOSAL), Chosen(proposal=0), FinalTested(test=FinalTest(proposal=0, returns=(0.5,), cost=Cost()))],
    [Ended()],
]


def written(path: Path) -> tuple[bytes, list[int]]:
    """A ledger of three batches, and where each ends."""
    ledger, ends = Ledger(path, Header(config="of this run")), [0]
    for batch in BATCHES:
        ledger.append(batch)
        ends.append(path.stat().st_size)
    return path.read_bytes(), ends


def events_of(batches: int) -> list[Event]:
    return [event for batch in BATCHES[:batches] for event in batch]


def test_a_torn_batch_is_dropped_and_the_next_event_starts_a_line(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    whole, ends = written(path)
    for cut in range(len(whole)):
        for tail in (b"", *([b"\0" * 5] if cut % 20 == 0 else [])):
            path.write_bytes(whole[:cut] + tail)
            ledger = Ledger(path, Header(config="of this run"))
            kept = sum(end <= cut for end in ends) - 1
            assert ledger.repair() == events_of(kept)
            for batch in BATCHES[kept:]:
                ledger.append(batch)
            assert path.read_bytes() == whole


def test_any_flipped_bit_is_found_or_costs_the_last_batch_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    whole, ends = written(path)
    dropped = 0
    for place in range(len(whole)):
        for bit in range(8):
            flipped = bytearray(whole)
            flipped[place] ^= 1 << bit
            path.write_bytes(flipped)
            try:
                events = Ledger(path, Header(config="of this run")).repair()
            except UserError as error:
                assert "is damaged" in str(error) or "are damaged" in str(error) or "another configuration" in str(error)
                assert "\n" not in str(error) and path.read_bytes() == flipped
            else:  # it looks as if the end had been torn off
                assert events == events_of(2) and place >= ends[2]
                dropped += 1
    assert 0 < dropped < 200


@pytest.mark.parametrize("change", ["lost", "doubled", "exchanged", "edited", "of another run"])
def test_lines_that_are_whole_and_wrong_are_found(tmp_path: Path, change: str) -> None:
    path = tmp_path / "ledger.jsonl"
    whole, _ = written(path)
    lines = whole.splitlines(keepends=True)
    match change:
        case "lost":
            del lines[3]
        case "doubled":
            lines.insert(3, lines[3])
        case "exchanged":
            lines[1], lines[2] = lines[2], lines[1]
        case "edited":
            lines[2] = lines[2].replace(b"1.0", b"2.0")
    path.write_bytes(b"".join(lines))
    header = Header(config="of another" if change == "of another run" else "of this run")
    with pytest.raises(UserError, match=r"damaged|another configuration"):
        Ledger(path, header).repair()


def test_a_loss_of_power_that_wrote_the_end_of_a_batch_alone_is_a_torn_batch(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    whole, ends = written(path)
    path.write_bytes(whole[: ends[1]] + b"\0" * 20 + whole[ends[1] + 20 : ends[2]])
    assert Ledger(path, Header(config="of this run")).repair() == events_of(1)
    path.write_bytes(whole[: ends[1]] + b"\0" * 20 + whole[ends[1] + 20 :])  # and not where more was acknowledged after it
    with pytest.raises(UserError, match="lines 4 to 6 are damaged"):
        Ledger(path, Header(config="of this run")).repair()


def test_what_somebody_else_writes_meanwhile_is_noticed(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append(EVENTS)
    Ledger(ledger.path).append([Chosen(proposal=0)])
    with pytest.raises(UserError, match="changed by somebody else"):
        ledger.append([Ended()])
    shutil.rmtree(tmp_path)
    with pytest.raises(UserError, match="No such file"):
        Ledger.append(ledger, [Ended()])
    assert not tmp_path.exists()


def test_a_ledger_of_a_later_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path)
    ledger.append(EVENTS)
    first, *others = path.read_bytes().splitlines(keepends=True)
    later = first.replace(b'"version":3', b'"version":4') + b"".join(others)
    body = later[: later.rindex(b',"crc"')]
    path.write_bytes(body + b',"crc":"%08x"}\n' % zlib.crc32(body))
    with pytest.raises(UserError, match="version 4, which a later rl_pbt writes"):
        Ledger(path).read()


@pytest.mark.parametrize("compressed", [False, True])
def test_whose_a_ledger_is_stands_at_its_beginning_and_no_more_of_it_is_read(tmp_path: Path, compressed: bool) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl", Header(config="ours"))
    ledger.append(EVENTS)
    content = ledger.path.read_bytes() + b" " * (1 << 25)
    if compressed:
        ledger.path.unlink()
        ledger.compressed.write_bytes(gzip.compress(content))
    else:
        ledger.path.write_bytes(content)
    del content
    tracemalloc.start()
    try:
        ledger.check_beginning()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 22
    with pytest.raises(UserError, match="belongs to a run of another configuration"):
        Ledger(ledger.path, Header(config="theirs")).check_beginning()


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

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(UserError, match="No space left on device; free space"):
        write_durably(path, b"new")
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_a_ledger_that_the_system_lets_grow_no_further_is_one_line_and_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append(EVENTS)
    whole = ledger.path.read_bytes()
    grow = f"""
import resource, signal
from pathlib import Path
from rl_pbt.errors import UserError
from rl_pbt.store.events import Chosen
from rl_pbt.store.ledger import Ledger
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({len(whole) + 10}, {len(whole) + 10}))
try:
    Ledger(Path({str(ledger.path)!r})).append([Chosen(proposal=0)])
except UserError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", grow], capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"cannot write {ledger.path}: File too large") and said.count("\n") == 1
    assert ledger.path.read_bytes()[: len(whole)] == whole
    assert Ledger(ledger.path).repair() == EVENTS and ledger.path.read_bytes() == whole


def test_a_ledger_that_is_a_device_or_a_link_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not an ordinary file"):
        Ledger(Path("/dev/zero")).read()
    (tmp_path / "ledger.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="cannot"):
        Ledger(tmp_path / "ledger.jsonl").append(EVENTS)
    assert not (tmp_path / "elsewhere").exists()


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


def test_every_event_comes_back_from_json() -> None:
    test = FinalTest(proposal=0, returns=(1.0, 2.0), cost=Cost(eval_units=3), capped=1)
    for event in (*EVENTS, Chosen(proposal=None), FinalTested(test=test), Ended()):
        assert from_json(json.loads(json.dumps(event.to_json()))) == event
