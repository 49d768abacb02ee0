"""What a killed run of Ray leaves on the disk goes with the next start, and nothing else does. Needs no Ray."""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path

import pytest

from rl_pbt.executors import ray_folder
from rl_pbt.executors.ray_folder import PREFIX, RayFolder
from rl_pbt.store.owner import RUN_LOCK
from tests.rl_pbt.test_executors import wait_until


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(ray_folder, "ROOT", tmp_path / "root")
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def hold(root: Path) -> None:
    """A process that is going to be killed."""
    ray_folder.ROOT = root
    made = RayFolder()
    (made.path / "session").mkdir()
    (made.path / "session" / "ready").touch()
    time.sleep(600)


def age(path: Path) -> None:
    os.utime(path, times=(0, 0))


def test_the_folder_of_a_killed_process_goes_and_that_of_a_living_one_stays(root: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=hold, args=(root,))
    process.start()
    try:
        wait_until(lambda: any(root.glob("*/session/ready")))
        (theirs,) = root.iterdir()
        age(theirs)
        RayFolder().remove()
        assert list(root.iterdir()) == [theirs], "it is in use"
    finally:
        process.kill()
        process.join()
    RayFolder().remove()
    assert list(root.iterdir()) == []


def test_what_is_not_ours_or_too_young_stays(root: Path, tmp_path: Path) -> None:
    mine = RayFolder()
    for name in (f"{PREFIX}never-locked", "rl_pbt-something", f"{PREFIX}young"):
        (root / name).mkdir()
    for name in ("rl_pbt-something", f"{PREFIX}young"):
        (root / name / RUN_LOCK).touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / RUN_LOCK).touch()
    (root / f"{PREFIX}link").symlink_to(tmp_path / "elsewhere")
    (root / f"{PREFIX}file").touch()
    before = {*root.iterdir()}
    for path in before - {root / f"{PREFIX}young"}:
        age(path)
    second = RayFolder()
    assert {*root.iterdir()} == {*before, second.path} and (tmp_path / "elsewhere" / RUN_LOCK).exists()
    for made in (mine, second):
        made.remove()
        assert not made.path.exists()
