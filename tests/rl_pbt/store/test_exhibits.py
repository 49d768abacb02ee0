"""What proposals leave for a report: kept as long as the run, carried home, small, and no trouble where it is gone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rl_pbt.arrays import LARGEST_EXHIBIT
from rl_pbt.executors.carrying import Carried
from rl_pbt.store.checkpoints import FolderCheckpoints
from rl_pbt.tasks.checkpoints import Sealed

ARRAYS = {"images": np.arange(12, dtype=np.uint8).reshape(3, 2, 2)}


def kept(folder: Path) -> FolderCheckpoints:
    return FolderCheckpoints(folder / "checkpoints", folder / "exhibits")


def test_they_stay_when_checkpoints_are_forgotten(tmp_path: Path) -> None:
    checkpoints = kept(tmp_path)
    for proposal in range(3):
        checkpoints.save(proposal, ARRAYS)
        checkpoints.exhibit(proposal, ARRAYS)
    checkpoints.keep_only([1, 2])
    checkpoints.leave_only([2])
    found = [checkpoints.exhibited(proposal) for proposal in range(3)]
    assert all(one is not None and np.array_equal(one["images"], ARRAYS["images"]) for one in found)
    assert checkpoints.exhibited(3) is None


def test_what_an_interrupted_write_left_of_one_is_deleted_unless_it_is_written_now(tmp_path: Path) -> None:
    checkpoints = kept(tmp_path)
    for proposal in range(3):
        checkpoints.exhibit(proposal, ARRAYS)
    folder = tmp_path / "exhibits"
    foreign = {".hidden", ".000001.safetensors.tmp", ".000001.safetensors.x.tmp", "notes.txt"}
    for name in {".000001.safetensors.77.tmp", ".000007.safetensors.78.tmp", *foreign}:
        (folder / name).touch()
    (folder / ".000002.safetensors.79.tmp").mkdir()
    whole = {f"{proposal:06d}.safetensors" for proposal in range(3)} | foreign | {".000002.safetensors.79.tmp"}
    checkpoints.keep_only([], being_written=[7])
    assert {path.name for path in folder.iterdir()} == whole | {".000007.safetensors.78.tmp"}
    checkpoints.leave_only([])
    assert {path.name for path in folder.iterdir()} == whole
    linked(folder)
    (folder / ".000001.safetensors.77.tmp").touch()
    checkpoints.keep_only([])
    assert (folder / ".000001.safetensors.77.tmp").exists(), "a link leads to somebody else's"


def test_they_come_home_after_the_checkpoints_beside_them(tmp_path: Path) -> None:
    """Arrays that the task goes on writing into are as they were."""
    carried, array = Carried({}), ARRAYS["images"].copy()
    carried.save(7, {"weights": array})
    carried.exhibit(7, {"images": array})
    array[:] = 0
    checkpoints = kept(tmp_path)
    for one in carried.saved:
        one.again(checkpoints)
    found = checkpoints.exhibited(7)
    assert found is not None and np.array_equal(found["images"], ARRAYS["images"])
    assert np.array_equal(checkpoints.load(7)["weights"], ARRAYS["images"])


def test_one_that_is_computed_again_exhibits_nothing_and_a_large_one_is_refused(tmp_path: Path) -> None:
    checkpoints = kept(tmp_path)
    Sealed(checkpoints, {}, restoring={}).exhibit(1, ARRAYS)
    assert checkpoints.exhibited(1) is None and not (tmp_path / "exhibits").exists()
    with pytest.raises(ValueError, match="an exhibit is small"):
        Sealed(checkpoints, {}).exhibit(1, {"images": np.zeros(LARGEST_EXHIBIT + 1, np.uint8)})
    largest = {"images": np.zeros(LARGEST_EXHIBIT, np.uint8)}
    Sealed(checkpoints, {}).exhibit(1, largest)
    found = checkpoints.exhibited(1)
    assert found is not None and found["images"].shape == (LARGEST_EXHIBIT,)


def test_without_a_place_they_are_not_kept(tmp_path: Path) -> None:
    checkpoints = FolderCheckpoints(tmp_path)
    checkpoints.exhibit(1, ARRAYS)
    assert checkpoints.exhibited(1) is None and list(tmp_path.iterdir()) == []


def linked(path: Path) -> None:
    other = path.with_name("other")
    path.rename(other)
    path.symlink_to(other)


SPOILS: dict[str, Callable[[Path], object]] = {
    "gone": lambda path: path.unlink(),
    "damaged": lambda path: path.write_bytes(b"{}"),
    "too large": lambda path: path.write_bytes(bytes(10 * LARGEST_EXHIBIT)),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a link": linked,
    "in a linked folder": lambda path: linked(path.parent),
}


@pytest.mark.parametrize("spoil", SPOILS)
def test_what_cannot_be_read_is_not_there(spoil: str, tmp_path: Path) -> None:
    checkpoints = kept(tmp_path)
    checkpoints.exhibit(1, ARRAYS)
    SPOILS[spoil](tmp_path / "exhibits/000001.safetensors")
    assert checkpoints.exhibited(1) is None
