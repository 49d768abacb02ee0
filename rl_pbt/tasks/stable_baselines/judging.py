"""What came of a member: the agent as a person uses it, the episodes it is judged on, and why it failed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, final

import numpy as np
from stable_baselines3 import DQN, SAC
from stable_baselines3.common.policies import ActorCriticPolicy

from rl_pbt.tasks.stable_baselines.environments import Array, Episodes
from rl_pbt.tasks.stable_baselines.members import Whole

DIVERGED = "diverged: a loss or a weight is not finite"


@final
class Winner:
    """A trained agent. `model` is SB3's own, with its `predict`, `save` and `learn`."""

    def __init__(self, model: Whole) -> None:
        self.model = model

    def act(self, observation: Array, deterministic: bool = False) -> Any:
        """The environment's action for one observation, or actions for a batch; the likeliest if `deterministic`.

        Otherwise it is drawn from the global generators of NumPy and torch, as SB3 does.
        """
        normaliser = self.model.get_vec_normalize_env()
        seen = observation if normaliser is None else normaliser.normalize_obs(observation)
        return self.model.predict(seen, deterministic=deterministic)[0]


def chooser(model: Whole, *, deterministic: bool) -> Callable[[Array], Sequence[Any]]:
    """How a member plays, for `environments.first_episodes`."""
    agent = Winner(model)
    if isinstance(model, DQN) and not deterministic:
        # SB3 draws once for a whole batch whether to explore.
        return lambda observations: [agent.act(one) for one in observations]
    if model.use_sde and not deterministic:  # else the exploration of the last rollout, or of a new network, would go on
        if isinstance(model, SAC):
            model.actor.reset_noise()
        elif isinstance(model.policy, ActorCriticPolicy):
            model.policy.reset_noise()
    return lambda observations: list(agent.act(observations, deterministic))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Of one interval of one member. `logged` are SB3's values; `fitness` says which episodes judge."""

    fitness: Literal["evaluation", "training"]
    logged: Mapping[str, float] = field(default_factory=dict)
    trained: Episodes = field(default_factory=Episodes)
    evaluated: Episodes = field(default_factory=Episodes)
    updates: int = 0
    failure: str | None = None

    @property
    def judged(self) -> Episodes:
        """The episodes that the fitness is made of."""
        return self.trained if self.fitness == "training" else self.evaluated

    @property
    def losses_finite(self) -> bool:
        """Whether every loss of every update was."""
        return all(np.isfinite(value) for name, value in self.logged.items() if "loss" in name)

    @property
    def complaint(self) -> str | None:
        """Why the episodes give no fitness, or None where they do."""
        if not self.judged.returns:
            return "no training episode ended in the interval: make the interval longer, or set fitness to evaluation"
        return None if np.isfinite(self.judged.returns).all() else "an episode's return is not finite"

    @property
    def metrics(self) -> dict[str, float]:
        """Finite scalars under SB3's names."""
        found = dict(self.logged)
        if self.trained.returns:
            found |= {
                "rollout/ep_rew_mean": float(np.mean(self.trained.returns)),
                "rollout/ep_len_mean": float(np.mean(self.trained.lengths)),
            }
        if self.evaluated.returns:
            found |= {
                "eval/mean_reward": float(np.mean(self.evaluated.returns)),
                "eval/mean_ep_length": float(np.mean(self.evaluated.lengths)),
                "eval/capped_episodes": float(self.evaluated.truncated),
            }
        return {name: value for name, value in found.items() if np.isfinite(value)}
