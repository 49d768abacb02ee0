"""What a learner learns from."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """T steps of P members in B environments each. Rewards are true rewards; clipping is the learner's business."""

    observations: Tensor  # [T+1, P, B, *observation]
    actions: Tensor  # [T, P, B] or [T, P, B, D]
    rewards: Tensor  # [T, P, B] float32
    terminated: Tensor  # [T, P, B] bool
    valid: Tensor  # [T, P, B] bool; False: the environment only reset itself

    def __post_init__(self) -> None:
        shape = self.rewards.shape
        if not (self.terminated.shape == self.valid.shape == shape == self.actions.shape[:3]):
            raise ValueError(f"rollout shapes differ: {shape}, {self.terminated.shape}, {self.valid.shape}")
        if self.observations.shape[:3] != (shape[0] + 1, *shape[1:]):
            raise ValueError(f"a rollout of {shape[0]} steps needs one observation more, got {self.observations.shape}")
