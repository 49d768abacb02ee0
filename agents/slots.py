"""A population's state as tensors [P, ...]: made from the members' seeds, and read or written one member at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from rl_pbt.agents.aliases import Array, Slots


class CheckpointMismatch(ValueError):
    """A checkpoint of another agent, network or version; the message is one line that names the first difference."""


def stacked(first: Callable[[int], Mapping[str, Tensor]], seeds: Sequence[int]) -> dict[str, Tensor]:
    """`first(seed)` of each member, stacked to [P, ...]: each depends on its own seed alone, whatever the population."""
    made = {seed: first(seed) for seed in set(seeds)}  # members that a checkpoint will overwrite may share a seed
    return {name: torch.stack([made[seed][name] for seed in seeds]) for name in made[seeds[0]]}


def finite(slots: Slots) -> Tensor:
    """Whether a member's part of every slot is finite, [P] bool."""
    return torch.stack([torch.isfinite(tensor.detach()).flatten(1).all(1) for tensor in slots.values()]).all(0)


def state_of(slots: Slots, member: int) -> dict[str, Array]:
    """A copy of one member's part of every slot."""
    return {name: tensor[member].cpu().numpy().copy() for name, tensor in slots.items()}


def load_slots(slots: Slots, member: int, state: Mapping[str, Array]) -> None:
    """Write a state from `state_of` into one member's part of every slot; the other members are not touched.

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
