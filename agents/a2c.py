"""Advantage actor-critic, synchronous (Mnih 2016), for a whole population at once."""

from __future__ import annotations

from typing import final

from rl_pbt.agents.actor_critic import Targets, Transitions
from rl_pbt.agents.policy_gradient import PolicyGradient
from rl_pbt.agents.returns import lambda_returns


@final
class A2C(PolicyGradient):
    """Targets are λ-returns (n-step returns if λ is 1); the log probabilities of the policy that acted are not used."""

    @staticmethod
    def targets(transitions: Transitions) -> Targets:
        returns = lambda_returns(
            transitions.rewards, transitions.discounts, transitions.values, transitions.valid, transitions.trace_lambda
        )
        return Targets(values=returns, advantages=returns - transitions.values[:-1])
