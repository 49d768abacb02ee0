"""Environments with known answers, simplest first: each can fail for one reason only (after A. Jones, "Debugging RL").

Importing this module registers them with Gymnasium as `probe/...`.
"""

from __future__ import annotations

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete

from rl_pbt.envs.aliases import Array, Info, Space, Step


class Probe(gymnasium.Env[Array, object]):
    """One number in [-1, 1] is observed, there are two actions, and an episode has one step, unless a subclass says otherwise."""

    observation_space = Box(-1.0, 1.0, (1,), np.float32)
    action_space: Space = Discrete(2)

    def __init__(self) -> None:
        self._shown = 0.0
        self._steps = 0

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Array, Info]:
        """The first observation of an episode."""
        super().reset(seed=seed)
        self._steps = 0
        self._shown = self.first()
        return self._observation(), {}

    def step(self, action: object) -> Step:
        """One step, with the `outcome` of the action."""
        self._steps += 1
        reward, terminated = self.outcome(action)
        return self._observation(), reward, terminated, False, {}

    def _observation(self) -> Array:
        return np.array([self._shown], np.float32)

    def first(self) -> float:
        """The number that the first observation shows."""
        return 0.0

    def outcome(self, action: object) -> tuple[float, bool]:
        """Reward and whether the episode ends."""
        raise NotImplementedError


class Value(Probe):
    """Pays 1 for any action. The value of the only observation is 1."""

    def outcome(self, action: object) -> tuple[float, bool]:
        return 1.0, True


class Observation(Probe):
    """Shows -1 or 1 and pays it. The value of an observation is the observation."""

    def first(self) -> float:
        return float(self.np_random.choice([-1.0, 1.0]))

    def outcome(self, action: object) -> tuple[float, bool]:
        return self._shown, True


class Discount(Probe):
    """Two steps, showing 0 then 1, with rewards 0 then 1. The values are the discount and 1."""

    def outcome(self, action: object) -> tuple[float, bool]:
        self._shown = 1.0
        return (0.0, False) if self._steps == 1 else (1.0, True)


class Action(Probe):
    """Pays 1 for action 1 and -1 for action 0. The best return is 1."""

    def outcome(self, action: object) -> tuple[float, bool]:
        return (1.0 if action == 1 else -1.0), True


class Policy(Observation):
    """Shows -1 or 1 and pays 1 for the action of that sign, else -1. The best return is 1; a constant action's mean is 0."""

    def outcome(self, action: object) -> tuple[float, bool]:
        return (1.0 if (action == 1) == (self._shown > 0) else -1.0), True


class Truncation(Probe):
    """Pays 1 forever, but is truncated after 10 steps. The value is 1/(1 - discount) only if truncated episodes bootstrap."""

    def outcome(self, action: object) -> tuple[float, bool]:
        return 1.0, False


class Continuous(Probe):
    """Pays -(action - 0.5)^2 for an action in [-1, 1]. The best return is 0."""

    action_space = Box(-1.0, 1.0, (1,), np.float32)

    def outcome(self, action: object) -> tuple[float, bool]:
        return -float((np.asarray(action)[0] - 0.5) ** 2), True


PROBES: tuple[type[Probe], ...] = (Value, Observation, Discount, Action, Policy, Truncation, Continuous)
TIME_LIMITS: dict[type[Probe], int] = {Truncation: 10}

for probe in PROBES:
    gymnasium.register(
        f"probe/{probe.__name__}",
        entry_point=f"{__name__}:{probe.__name__}",
        max_episode_steps=TIME_LIMITS.get(probe, 100),
    )
