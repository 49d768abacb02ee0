"""IMPALA's learner (Espeholt 2018), for a whole population at once: actor-critic with V-trace.

The weights that act lag behind those that learn by a fixed number of updates (`policy_lag`), whatever the machine. So the
off-policy correction always has the same work to do, and a run can be repeated.

Deviation: the loss is a mean, not a sum (see `policy_gradient`). There is no replay buffer, as in the paper's main results.
"""

from __future__ import annotations

from typing import final

import torch

from rl_pbt.agents.actor_critic import Targets, Transitions
from rl_pbt.agents.policy_gradient import PolicyGradient
from rl_pbt.agents.returns import vtrace


@final
class IMPALA(PolicyGradient):
    """V-trace targets and advantages, with both clips at 1 as in the paper."""

    @staticmethod
    def targets(transitions: Transitions) -> Targets:
        # No action was taken in a step that is not valid, so its ratio means nothing and could overflow.
        log_ratios = torch.where(transitions.valid, transitions.log_probs - transitions.behaviour_log_probs, 0.0)
        traced = vtrace(
            log_ratios,
            transitions.rewards,
            transitions.discounts,
            transitions.values,
            transitions.valid,
            transitions.trace_lambda,
        )
        return Targets(values=traced.values, advantages=traced.advantages)
