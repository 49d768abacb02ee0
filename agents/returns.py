"""Targets from rewards and value estimates, as pure functions over time-major arrays.

`_t` and `_tp1` say which side of a transition a value sits on. In all of them `discounts_t` is the discount times
(1 - terminated_t), and a step that is not `valid` is the one after an episode's end, where the environment ignores the action
and resets. Its observation is the true last one of the episode, so that defining its target as its value bootstraps truncated
episodes and leaves terminated ones alone, without any other rule.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


def _assert_shapes(rewards_t: Tensor, discounts_t: Tensor, values: Tensor, valid: Tensor) -> None:
    if not (rewards_t.shape == discounts_t.shape == valid.shape == values[1:].shape):
        raise ValueError(f"shapes differ: {rewards_t.shape}, {discounts_t.shape}, {valid.shape}, {values.shape}")


def lambda_returns(rewards_t: Tensor, discounts_t: Tensor, values: Tensor, valid: Tensor, lambda_: Tensor) -> Tensor:
    """λ-returns of each step, bootstrapped at the end of the rollout. All [T, ...]; values [T+1, ...]; λ broadcasts to a step.

        return_t = r_t + discount_t * ((1 - λ) v_{t+1} + λ return_{t+1}),    return_T = v_T
        return_t = v_t  where step t is not valid

    With λ = 1 they are n-step returns (Mnih 2016, Algorithm S3); return_t - v_t is the generalised advantage estimate
    (Schulman 2015, "High-Dimensional Continuous Control Using Generalized Advantage Estimation", eq. 16).
    """
    _assert_shapes(rewards_t, discounts_t, values, valid)
    returns = torch.empty_like(rewards_t)
    return_tp1 = values[-1]
    for t in reversed(range(rewards_t.shape[0])):
        mixed_tp1 = (1.0 - lambda_) * values[t + 1] + lambda_ * return_tp1
        return_tp1 = torch.where(valid[t], rewards_t[t] + discounts_t[t] * mixed_tp1, values[t])
        returns[t] = return_tp1
    return returns


@dataclass(frozen=True, slots=True, kw_only=True)
class VTrace:
    """Targets of the values, and advantages for the policy gradient, both [T, ...]; 0 advantage where a step is not valid."""

    values: Tensor
    advantages: Tensor


def vtrace(
    log_ratios: Tensor,
    rewards_t: Tensor,
    discounts_t: Tensor,
    values: Tensor,
    valid: Tensor,
    lambda_: Tensor,
    *,
    clip_rho: float = 1.0,
    clip_pg_rho: float = 1.0,
) -> VTrace:
    """V-trace (Espeholt 2018, sec. 4.1), all [T, ...]; values [T+1, ...]; log_ratios are log(target / behaviour) of the actions.

        delta_t = min(clip_rho, ρ_t) (r_t + discount_t V_{t+1} - V_t)
        a_t     = delta_t + discount_t λ min(1, ρ_t) a_{t+1},    a_T = 0
        v_t     = V_t + a_t
        advantage_t = min(clip_pg_rho, ρ_t) (r_t + discount_t ((1 - λ) V_{t+1} + λ v_{t+1}) - V_t),    v_T = V_T

    λ is the paper's remark 2, and enters the advantage as in rlax, so that on-policy v_t is the λ-return and the advantage the
    generalised one. `clip_rho` decides what the values converge to; the clip of the trace, at 1 as in the paper, only how fast.
    """
    _assert_shapes(rewards_t, discounts_t, values, valid)
    if log_ratios.shape != rewards_t.shape:
        raise ValueError(f"shapes differ: log ratios {log_ratios.shape}, rewards {rewards_t.shape}")
    ratios = log_ratios.exp()
    values_t, values_tp1 = values[:-1], values[1:]
    deltas_t = ratios.clamp(max=clip_rho) * (rewards_t + discounts_t * values_tp1 - values_t)
    traces_t = discounts_t * lambda_ * ratios.clamp(max=1.0)
    corrections = torch.zeros_like(values)  # a, [T+1, ...]
    for t in reversed(range(rewards_t.shape[0])):
        corrections[t] = torch.where(valid[t], deltas_t[t] + traces_t[t] * corrections[t + 1], 0.0)
    mixed_tp1 = values_tp1 + lambda_ * corrections[1:]
    advantages = ratios.clamp(max=clip_pg_rho) * (rewards_t + discounts_t * mixed_tp1 - values_t)
    return VTrace(values=values_t + corrections[:-1], advantages=torch.where(valid, advantages, 0.0))
