"""Targets from rewards and value estimates, as pure functions over time-major arrays.

A suffix says which side of a transition an array sits on: `_t` where it begins, `_tp1` where it ends. Common arguments:

* `rewards_t` [T, ...]: the reward of each step.
* `discounts_t` [T, ...]: the discount times (1 - terminated_t), so 0 where the episode terminates.
* `values` [T+1, ...]: value estimates on both sides, including those of the rollout's last observation.
* `valid_t` [T, ...] bool: False for the step after an episode's end, where the environment ignores the action and resets.
* `lambda_`: weight of the longer returns, from 0 (one-step) to 1 (the longest available); it broadcasts to the shape of a step.

The observation of a step that is not valid is the true last one of its episode. So it is enough to define that step's target as
its value: truncated episodes then bootstrap and terminated ones do not, without any other rule. All functions raise ValueError
where shapes differ.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


def _assert_shapes(rewards_t: Tensor, discounts_t: Tensor, values: Tensor, valid_t: Tensor) -> None:
    if not (rewards_t.shape == discounts_t.shape == valid_t.shape == values[1:].shape):
        raise ValueError(f"shapes differ: {rewards_t.shape}, {discounts_t.shape}, {valid_t.shape}, {values.shape}")


def lambda_returns(rewards_t: Tensor, discounts_t: Tensor, values: Tensor, valid_t: Tensor, lambda_: Tensor) -> Tensor:
    """λ-returns of each step, [T, ...], bootstrapped at the end of the rollout.

        return_t = r_t + discount_t * ((1 - λ) v_{t+1} + λ return_{t+1}),    return_T = v_T
        return_t = v_t  where step t is not valid

    With λ = 1 they are n-step returns (Mnih 2016, Algorithm S3); return_t - v_t is the generalised advantage estimate
    (Schulman 2015, "High-Dimensional Continuous Control Using Generalized Advantage Estimation", eq. 16).
    """
    _assert_shapes(rewards_t, discounts_t, values, valid_t)
    returns_t = torch.empty_like(rewards_t)
    return_tp1 = values[-1]
    for t in reversed(range(rewards_t.shape[0])):
        mixed_tp1 = (1.0 - lambda_) * values[t + 1] + lambda_ * return_tp1
        return_tp1 = torch.where(valid_t[t], rewards_t[t] + discounts_t[t] * mixed_tp1, values[t])
        returns_t[t] = return_tp1
    return returns_t


@dataclass(frozen=True, slots=True, kw_only=True)
class VTrace:
    """Value targets, and advantages for the policy gradient, both [T, ...]; the advantage is 0 where a step is not valid."""

    values: Tensor
    advantages: Tensor


def vtrace(
    log_ratios_t: Tensor,
    rewards_t: Tensor,
    discounts_t: Tensor,
    values: Tensor,
    valid_t: Tensor,
    lambda_: Tensor,
    *,
    clip_rho: float = 1.0,
    clip_pg_rho: float = 1.0,
) -> VTrace:
    """V-trace (Espeholt 2018, sec. 4.1). `log_ratios_t` [T, ...] are log(target / behaviour) of the actions; ρ_t is their exp.

        delta_t = min(clip_rho, ρ_t) (r_t + discount_t V_{t+1} - V_t)
        a_t     = delta_t + discount_t λ min(1, ρ_t) a_{t+1},    a_T = 0
        v_t     = V_t + a_t
        advantage_t = min(clip_pg_rho, ρ_t) (r_t + discount_t ((1 - λ) V_{t+1} + λ v_{t+1}) - V_t),    v_T = V_T

    λ is from the paper's remark 2, and enters the advantage as in rlax, so that on-policy v_t is the λ-return and the advantage
    is the generalised advantage estimate. `clip_rho` decides what the values converge to, and `clip_pg_rho` how far the policy
    gradient is corrected; the clip of the trace, at 1 as in the paper, only decides how fast the values converge.
    """
    _assert_shapes(rewards_t, discounts_t, values, valid_t)
    if log_ratios_t.shape != rewards_t.shape:
        raise ValueError(f"shapes differ: log ratios {log_ratios_t.shape}, rewards {rewards_t.shape}")
    ratios_t = log_ratios_t.exp()
    values_t, values_tp1 = values[:-1], values[1:]
    deltas_t = ratios_t.clamp(max=clip_rho) * (rewards_t + discounts_t * values_tp1 - values_t)
    traces_t = discounts_t * lambda_ * ratios_t.clamp(max=1.0)
    corrections = torch.zeros_like(values)  # a, [T+1, ...]
    for t in reversed(range(rewards_t.shape[0])):
        corrections[t] = torch.where(valid_t[t], deltas_t[t] + traces_t[t] * corrections[t + 1], 0.0)
    mixed_tp1 = values_tp1 + lambda_ * corrections[1:]
    advantages_t = ratios_t.clamp(max=clip_pg_rho) * (rewards_t + discounts_t * mixed_tp1 - values_t)
    return VTrace(values=values_t + corrections[:-1], advantages=torch.where(valid_t, advantages_t, 0.0))
