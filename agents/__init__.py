"""Reinforcement-learning agents with a population axis: weights, optimiser state and hyperparameters are [P, ...].

A single agent is P = 1. This table, `hypers` and `settings` do not load torch, so that a command is checked before torch loads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from rl_pbt.agents.hypers import HYPERS, PPO_HYPERS, HyperSpec
from rl_pbt.agents.settings import ActorCriticConfig, IMPALAConfig, PPOConfig

if TYPE_CHECKING:
    from rl_pbt.agents.actor_critic import ActorCritic

__all__ = ["AGENTS", "AgentEntry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentEntry:
    """An agent: where its class is, its configuration (fixed while it trains), and the hyperparameters that may change."""

    place: str  # module:Class
    config: type[ActorCriticConfig]
    hypers: Mapping[str, HyperSpec]

    @property
    def make(self) -> type[ActorCritic]:
        """The agent's class; this imports its module."""
        module, _, name = self.place.partition(":")
        found: type[ActorCritic] = getattr(import_module(module), name)
        return found


AGENTS: dict[str, AgentEntry] = {
    "a2c": AgentEntry(place="rl_pbt.agents.a2c:A2C", config=ActorCriticConfig, hypers=HYPERS),
    "impala": AgentEntry(place="rl_pbt.agents.impala:IMPALA", config=IMPALAConfig, hypers=HYPERS),
    "ppo": AgentEntry(place="rl_pbt.agents.ppo:PPO", config=PPOConfig, hypers=PPO_HYPERS),
}
