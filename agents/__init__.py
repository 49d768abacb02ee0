"""Reinforcement-learning agents with a population axis: weights, optimisers and hyperparameters are [P, ...]; one is P = 1."""

from __future__ import annotations

from dataclasses import dataclass

from rl_pbt.agents.a2c import A2C
from rl_pbt.agents.actor_critic import ActorCritic, ActorCriticConfig, CheckpointMismatch, make_network
from rl_pbt.agents.hypers import HYPERS
from rl_pbt.agents.impala import IMPALA, IMPALAConfig
from rl_pbt.agents.networks import UnsupportedSpace, computes_in_bfloat16
from rl_pbt.agents.policy import Policy
from rl_pbt.agents.ppo import PPO, PPOConfig
from rl_pbt.agents.rollout import Rollout

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
    "computes_in_bfloat16",
    "make_network",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentEntry:
    """An agent, and its configuration, which stays fixed while it trains."""

    make: type[ActorCritic]
    config: type[ActorCriticConfig]


AGENTS: dict[str, AgentEntry] = {
    "a2c": AgentEntry(make=A2C, config=ActorCriticConfig),
    "impala": AgentEntry(make=IMPALA, config=IMPALAConfig),
    "ppo": AgentEntry(make=PPO, config=PPOConfig),
}
