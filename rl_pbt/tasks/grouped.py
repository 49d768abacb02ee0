"""What tasks have in common whose members share tensors: how a group begins an interval, and what its members draw from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch

from rl_pbt import seeds
from rl_pbt.agents.aliases import Bools
from rl_pbt.agents.slots import CheckpointMismatch
from rl_pbt.arrays import State
from rl_pbt.errors import UserError
from rl_pbt.records import Hyper
from rl_pbt.tasks.base import IntervalJob


class Members(Protocol):
    """The P members of a group, in tensors [P, ...]."""

    def state(self, member: int) -> State:
        """A copy of all that one member has learned: what an exploit copies."""
        ...

    def load_state(self, member: int, state: State) -> None:
        """Overwrite one member, of whom nothing else is remembered: whether it is healthy is decided again.

        Raises CheckpointMismatch, before anything is changed, for a state of something else.
        """
        ...

    def healthy(self) -> Bools:
        """Which members have only finite weights and have had only finite losses since they were made or loaded, [P]."""
        ...


def weight_seeds(job: IntervalJob) -> list[int]:
    """The seed of each member's initial weights.

    Members that a checkpoint will overwrite share one, so that weights are drawn only once for all of them: drawing takes longer
    than loading.
    """
    return [
        0
        if one.parent is not None
        else seeds.seed(job.root_seed, purpose="weights", member=one.member, generation=one.generation)
        for one in job.proposals
    ]


def load_parents(members: Members, job: IntervalJob, what: str) -> None:
    """Give each member what its parent left, if it has one; `what` is such a member in a word: "agent", "GAN".

    Raises UserError for a checkpoint of something else.
    """
    for index, proposal in enumerate(job.proposals):
        if proposal.parent is not None:
            load_member(members, index, proposal.parent, job.checkpoints.load(proposal.parent), what)


def load_member(members: Members, index: int, proposal: int, state: State, what: str) -> None:
    """Give one member the `state` that a proposal left. Raises UserError for a state of something else than `what` it is."""
    try:
        members.load_state(index, state)
    except CheckpointMismatch as error:
        raise UserError(f"the checkpoint of proposal {proposal} is not of this {what}: {error}") from error


def values_of(job: IntervalJob, held: Mapping[str, Hyper], name: str) -> list[float]:
    """The value of a hyperparameter for each member: the proposal's, or the one that is `held` where it is not searched."""
    return [float({**held, **one.hypers}[name]) for one in job.proposals]


def generators(job: IntervalJob, purpose: str) -> list[torch.Generator]:
    """For each member a random stream of its own, for one purpose in this interval."""
    return [
        generator(seeds.seed(job.root_seed, purpose=purpose, member=one.member, generation=one.generation))
        for one in job.proposals
    ]


def generator(seed: int) -> torch.Generator:
    """A random stream of torch's, on the processor."""
    return torch.Generator().manual_seed(seed)
