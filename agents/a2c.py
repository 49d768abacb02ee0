"""Advantage actor-critic, synchronous (Mnih 2016), for a whole population at once."""

from __future__ import annotations

from typing import final

from rl_pbt.agents.actor_critic import Targets, Transitions
from rl_pbt.agents.policy_gradient import PolicyGradient
from rl_pbt.agents.returns import lambda_returns


@final
class A2C(PolicyGradient):
    """λ-returns, which are n-step returns where λ is 1; the probabilities with which actions were chosen are not used."""

    @staticmethod
    def targets(transitions: Transitions) -> Targets:
        returns = lambda_returns(
            transitions.rewards, transitions.discounts, transitions.values, transitions.valid, transitions.trace_lambda
        )
        return Targets(values=returns, advantages=returns - transitions.values[:-1])
