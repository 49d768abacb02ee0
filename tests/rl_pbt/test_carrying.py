"""Checkpoints travel with any kind of job."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from rl_pbt.errors import LostCheckpoint
from rl_pbt.executors.carrying import carrying, delivered
from rl_pbt.store.checkpoints import FolderCheckpoints
from rl_pbt.tasks.base import Advance, BaselineJob, FinalTestJob, Job, Task, unheeded
from rl_pbt.tasks.checkpoints import Checkpoints
from tests.rl_pbt.test_executors import Moody, job

STATE = {"weights": np.arange(3.0)}


@dataclass(frozen=True)
class Doubling:
    """A kind of job that the suite does not have: saves another proposal's checkpoint under its own id, doubled."""

    proposal: int
    other: int
    checkpoints: Checkpoints

    @property
    def loads(self) -> frozenset[int]:
        return frozenset((self.other,))

    def stored_in(self, checkpoints: Checkpoints) -> Doubling:
        return replace(self, checkpoints=checkpoints)

    def run(self, task: Task, advance: Advance = unheeded) -> int:
        state = self.checkpoints.load(self.other)
        self.checkpoints.save(self.proposal, {name: 2 * array for name, array in state.items()})
        return self.proposal

    def whose(self, proposal: int | None) -> str:
        return "the double"

    def giving_up(self, proposal: int | None, reason: str) -> Doubling:
        return self


def anything(folder: Path) -> Task:
    return cast("Task", Moody(folder))


def away(job: Job[Any]) -> Any:
    """The job done where its folder of checkpoints is not, as far as the job can tell: only what was sent is there."""
    sent = pickle.loads(pickle.dumps(carrying(job)))
    found = sent.run(anything(Path("unused")))
    return pickle.loads(pickle.dumps(found))


def test_a_job_of_any_kind_takes_what_it_loads_and_brings_home_what_it_saves(tmp_path: Path) -> None:
    checkpoints = FolderCheckpoints(tmp_path)
    checkpoints.save(1, STATE)
    doubling = Doubling(2, 1, checkpoints)
    delivery = away(doubling)
    assert [path.name for path in tmp_path.iterdir()] == ["000001.safetensors"], "the job wrote past what it was sent with"
    assert delivered(doubling, delivery) == 2
    assert np.array_equal(checkpoints.load(2)["weights"], 2 * STATE["weights"])
    with pytest.raises(LostCheckpoint, match=r"000007.safetensors is missing"):
        carrying(Doubling(2, 7, checkpoints))


def test_each_kind_says_what_it_loads(tmp_path: Path) -> None:
    checkpoints, elsewhere = FolderCheckpoints(tmp_path), FolderCheckpoints(tmp_path / "elsewhere")
    interval = replace(job(3, 4, 5), checkpoints=checkpoints)
    first, *others = interval.proposals
    interval = replace(interval, proposals=(first, *(replace(one, parent=1) for one in others)))
    final = FinalTestJob(proposal=9, episodes=range(3), root_seed=0, checkpoints=checkpoints)
    baseline = BaselineJob(root_seed=0, episodes=3)
    assert [one.loads for one in (interval, final, baseline)] == [{1}, {9}, frozenset()]
    assert interval.stored_in(elsewhere) == replace(interval, checkpoints=elsewhere)
    assert final.stored_in(elsewhere) == replace(final, checkpoints=elsewhere)
    assert baseline.stored_in(elsewhere) == baseline and baseline.checkpoints is None


def test_what_is_packed_has_nothing_left_to_carry(tmp_path: Path) -> None:
    checkpoints = FolderCheckpoints(tmp_path)
    checkpoints.save(1, STATE)
    packed = carrying(Doubling(2, 1, checkpoints))
    assert carrying(packed).states == {} and packed.stored_in(checkpoints) == packed
