"""Reinforcement-learning agents with a population axis: weights, optimisers and hypers are [P, ...]; one agent is P = 1."""

from agents.a2c import A2C, HYPERS, A2CConfig, CheckpointMismatch
from agents.networks import UnsupportedSpace
from agents.rollout import Rollout

__all__ = ["A2C", "HYPERS", "A2CConfig", "CheckpointMismatch", "Rollout", "UnsupportedSpace"]
