"""A rollout: what a learner learns from."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """T steps of P members in B environments each. Rewards are the environments' own; clipping is left to the learner.

    `core_state` is the recurrent state before the first observation, zero where an episode begins with it. Raises ValueError
    where shapes differ.
    """

    observations: Tensor  # [T+1, P, B, *observation]
    actions: Tensor  # [T, P, B] or [T, P, B, D]
    behaviour_log_probs: Tensor  # [T, P, B], of the actions, under the policy that chose them
    rewards: Tensor  # [T, P, B] float32
    terminated: Tensor  # [T, P, B] bool
    valid: Tensor  # [T, P, B] bool, False where the environment only resets itself
    core_state: Tensor  # [P, B, S]

    def __post_init__(self) -> None:
        shape = self.rewards.shape
        per_step = (self.terminated, self.valid, self.behaviour_log_probs)
        if any(one.shape != shape for one in per_step) or self.actions.shape[:3] != shape:
            raise ValueError(f"rollout shapes differ: {shape}, {self.actions.shape}, {[tuple(one.shape) for one in per_step]}")
        if self.observations.shape[:3] != (shape[0] + 1, *shape[1:]):
            raise ValueError(f"a rollout of {shape[0]} steps needs {shape[0] + 1} observations, got {self.observations.shape}")
        if self.core_state.shape[:2] != shape[1:]:
            raise ValueError(f"a rollout of {tuple(shape[1:])} environments has core states {tuple(self.core_state.shape)}")

    def to(self, device: str) -> Rollout:
        """The same rollout on another device.

        To a GPU it goes through pinned memory, from which a copy need not be waited for: the device runs it before what is
        computed from it, while the host goes on.
        """
        return Rollout(**{name: _moved(getattr(self, name), torch.device(device)) for name in self.__slots__})


def _moved(tensor: Tensor, device: torch.device) -> Tensor:
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
