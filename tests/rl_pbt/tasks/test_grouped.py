"""What agents, GANs and translators share: each group of members keeps the same promises and begins an interval alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from rl_pbt import seeds
from rl_pbt.agents import AGENTS
from rl_pbt.errors import UserError
from rl_pbt.records import Proposal
from rl_pbt.store.checkpoints import FolderCheckpoints
from rl_pbt.tasks.base import IntervalJob
from rl_pbt.tasks.gan.population import GanPopulation
from rl_pbt.tasks.grouped import Members, generators, load_parents, values_of, weight_seeds
from rl_pbt.tasks.translation.members import Translators
from rl_pbt.tasks.translation.transformer import Shape

SPACES = gymnasium.spaces.Box(-1, 1, (3,), np.float32), gymnasium.spaces.Discrete(2)


def agents(chosen: Sequence[int]) -> Members:
    return AGENTS["a2c"].make(AGENTS["a2c"].config(hidden=(4,)), *SPACES, seeds=chosen)


def gans(chosen: Sequence[int]) -> Members:
    return GanPopulation(chosen, 2)


def translators(chosen: Sequence[int]) -> Members:
    return Translators(Shape(vocabulary=9, width=8, heads=2, feedforward=8, layers=1), chosen)


KINDS = pytest.mark.parametrize("make", [agents, gans, translators])


def proposal(id_: int, parent: int | None, **hypers: float) -> Proposal:
    return Proposal(id=id_, member=id_, generation=2, hypers=hypers, parent=parent, units=1)


def job(folder: Path, *proposals: Proposal) -> IntervalJob:
    ages = (0,) * len(proposals)
    return IntervalJob(proposals=proposals, lineage_units=ages, root_seed=5, checkpoints=FolderCheckpoints(folder))


@KINDS
def test_a_member_that_is_loaded_is_healthy_whatever_was_there_before(make: Callable[[Sequence[int]], Members]) -> None:
    members = make([1, 2])
    members._finite[0] = False  # as after a loss that is not finite
    assert members.healthy().tolist() == [False, True]
    members.load_state(0, members.state(1))
    assert members.healthy().tolist() == [True, True]
    assert all(np.array_equal(array, members.state(0)[name]) for name, array in members.state(1).items())


@KINDS
def test_parents_are_loaded_and_the_others_keep_their_first_weights(
    make: Callable[[Sequence[int]], Members], tmp_path: Path
) -> None:
    some = job(tmp_path, proposal(7, None), proposal(8, 3))
    parent = make([1]).state(0)
    some.checkpoints.save(3, parent)
    chosen = weight_seeds(some)
    assert chosen == [seeds.seed(5, purpose="weights", member=7, generation=2), 0]
    members = make(chosen)
    first = members.state(0)
    load_parents(members, some, "member")
    assert all(np.array_equal(array, first[name]) for name, array in members.state(0).items())
    assert all(np.array_equal(array, parent[name]) for name, array in members.state(1).items())


@KINDS
def test_a_checkpoint_of_something_else_is_refused_in_one_line(make: Callable[[Sequence[int]], Members], tmp_path: Path) -> None:
    some = job(tmp_path, proposal(8, 3))
    some.checkpoints.save(3, {"of something else": np.zeros(2)})
    with pytest.raises(UserError, match=r"^the checkpoint of proposal 3 is not of this member: is of another") as raised:
        load_parents(make([1]), some, "member")
    assert "\n" not in str(raised.value)


def test_hyperparameters_that_are_not_searched_are_those_that_are_held(tmp_path: Path) -> None:
    some = job(tmp_path, proposal(1, None, rate=0.5), proposal(2, None))
    assert values_of(some, {"rate": 1, "other": 2}, "rate") == [0.5, 1.0]
    assert values_of(some, {"rate": 1, "other": 2}, "other") == [2.0, 2.0]


def test_random_streams_belong_to_a_member_and_a_purpose_and_not_to_a_place(tmp_path: Path) -> None:
    one, other = proposal(1, None), proposal(2, None)
    together = [stream.initial_seed() for stream in generators(job(tmp_path, one, other), "actions")]
    assert [stream.initial_seed() for stream in generators(job(tmp_path, other), "actions")] == together[1:]
    assert len({*together, generators(job(tmp_path, one), "orders")[0].initial_seed()}) == 3
