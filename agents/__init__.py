"""Reinforcement-learning agents with a population axis: weights, optimisers and hypers are [P, ...]; one agent is P = 1."""

from __future__ import annotations

from dataclasses import dataclass

from agents.a2c import A2C
from agents.actor_critic import ActorCritic, ActorCriticConfig, CheckpointMismatch
from agents.hypers import HYPERS
from agents.impala import IMPALA, IMPALAConfig
from agents.networks import UnsupportedSpace
from agents.policy import Policy
from agents.rollout import Rollout

__all__ = [
    "AGENTS",
    "HYPERS",
    "ActorCritic",
    "ActorCriticConfig",
    "AgentEntry",
    "CheckpointMismatch",
    "Policy",
    "Rollout",
    "UnsupportedSpace",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentEntry:
    """An agent, and its configuration: what stays fixed while it trains."""

    make: type[ActorCritic]
    config: type[ActorCriticConfig]


AGENTS: dict[str, AgentEntry] = {
    "a2c": AgentEntry(make=A2C, config=ActorCriticConfig),
    "impala": AgentEntry(make=IMPALA, config=IMPALAConfig),
}
