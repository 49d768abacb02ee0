"""A population as arrays, [P, ...], of which each member has its part: what begins it, and one member as a checkpoint has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from rl_pbt.agents.aliases import Array, Slots


class CheckpointMismatch(ValueError):
    """A checkpoint that is not of this agent; one line that names the first difference."""


def stacked(first: Callable[[int], Mapping[str, Tensor]], seeds: Sequence[int]) -> dict[str, Tensor]:
    """What `first` makes of each member's seed alone, so that a member begins the same in any population; [P, ...] of each."""
    made = {seed: first(seed) for seed in set(seeds)}  # those that are loaded over may all have the same
    return {name: torch.stack([made[seed][name] for seed in seeds]) for name in made[seeds[0]]}


def finite(slots: Slots) -> Tensor:
    """Which members have only finite numbers in all of them, [P] bool."""
    return torch.stack([torch.isfinite(tensor.detach()).flatten(1).all(1) for tensor in slots.values()]).all(0)


def state_of(slots: Slots, member: int) -> dict[str, Array]:
    """A copy of one member's part of each."""
    return {name: tensor[member].cpu().numpy().copy() for name, tensor in slots.items()}


def load_slots(slots: Slots, member: int, state: Mapping[str, Array]) -> None:
    """Write what `state_of` gave into one member's part of each; the others stay as they are.

    Raises CheckpointMismatch, before anything is changed, where names, shapes or types differ.
    """
    if different := sorted(set(slots) ^ set(state)):
        raise CheckpointMismatch(f"is of another agent or network: {different[0]!r} is in only one of the two")
    for name, tensor in slots.items():
        if tensor.shape[1:] != state[name].shape:
            raise CheckpointMismatch(f"is of another network: {name!r} is {state[name].shape}, not {tuple(tensor.shape[1:])}")
        if torch.from_numpy(state[name]).dtype != tensor.dtype:
            raise CheckpointMismatch(f"is of another version: {name!r} is {state[name].dtype}, not {tensor.dtype}")
    for name, tensor in slots.items():
        tensor[member] = torch.from_numpy(np.array(state[name])).to(tensor.device)
