"""Returns from rewards and value estimates, as pure functions over time-major arrays."""

from __future__ import annotations

import torch
from torch import Tensor


def n_step_returns(rewards_t: Tensor, discounts_t: Tensor, values: Tensor, valid: Tensor) -> Tensor:
    """Bootstrapped returns of each step to the end of the rollout (Mnih 2016, Algorithm S3). All [T, ...]; values [T+1, ...].

        return_t = r_t + discount_t * return_{t+1},    return_T = v_T
        return_t = v_t  where step t is not valid

    `discounts_t` is the discount times (1 - terminated_t). A step that is not valid is the one after an episode's end, where the
    environment ignores the action and resets: its observation is the true last one of the episode, so that defining its
    return as its value bootstraps truncated episodes and leaves terminated ones alone, without any other rule.
    """
    if not (rewards_t.shape == discounts_t.shape == valid.shape == values[1:].shape):
        raise ValueError(f"shapes differ: {rewards_t.shape}, {discounts_t.shape}, {valid.shape}, {values.shape}")
    returns = torch.empty_like(rewards_t)
    return_tp1 = values[-1]
    for t in reversed(range(rewards_t.shape[0])):
        return_tp1 = torch.where(valid[t], rewards_t[t] + discounts_t[t] * return_tp1, values[t])
        returns[t] = return_tp1
    return returns
