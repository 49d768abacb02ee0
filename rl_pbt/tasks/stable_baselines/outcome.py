"""The outcome of an interval: the agent as a person uses it, the episodes that it is scored by, and why it failed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, final

import numpy as np
from stable_baselines3 import DQN, SAC
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.utils import set_random_seed

from rl_pbt.arrays import Array
from rl_pbt.tasks.on_environments.episodes import Episodes, episode_metrics, no_fitness
from rl_pbt.tasks.stable_baselines.members import Whole

Choose: TypeAlias = Callable[[Array], Sequence[object]]  # observations of copies that play -> their actions


@final
class Winner:
    """A trained agent. `model` is SB3's own, with its `predict`, `save` and `learn`; `greedy` says whether it was tested with its
    likeliest actions.
    """

    def __init__(self, model: Whole, *, greedy: bool) -> None:
        self.model = model
        self._greedy = greedy

    def reset(self, seed: int | None = None) -> None:
        """Begin an episode; with a `seed`, also seed the global generators of NumPy and torch, which SB3 draws from."""
        if seed is not None:
            set_random_seed(seed % 2**31)
        _reset_noise(self.model)

    def act(self, observation: Array, deterministic: bool | None = None) -> Array:
        """The action for one observation, as the environment takes it, or actions for a batch: the likeliest if `deterministic`;
        if not, drawn from the global generators of NumPy and torch, as SB3 does.

        With None they are chosen as they were in the winner's test.
        """
        greedy = self._greedy if deterministic is None else deterministic
        normaliser = self.model.get_vec_normalize_env()
        seen = observation if normaliser is None else normaliser.normalize_obs(observation)
        return self.model.predict(seen, deterministic=greedy)[0]


def chooser(model: Whole, *, deterministic: bool) -> Choose:
    """How a member plays, for `environments.first_episodes`."""
    agent = Winner(model, greedy=deterministic)
    if isinstance(model, DQN) and not deterministic:
        # For a whole batch, SB3 draws only once whether to explore.
        return lambda observations: [agent.act(one) for one in observations]
    if not deterministic:
        _reset_noise(model)
    return lambda observations: list(agent.act(observations))


def _reset_noise(model: Whole) -> None:
    """Draw the noise of state-dependent exploration again: it would still be that of the last rollout, or of a new network."""
    if not model.use_sde:
        return
    if isinstance(model, SAC):
        model.actor.reset_noise()
    elif isinstance(model.policy, ActorCriticPolicy):
        model.policy.reset_noise()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of one interval of one member, which trained for `train_units`. `logged` has SB3's values, `fitness` says which
    episodes count, and `asked` whether an evaluation was asked for.
    """

    fitness: Literal["evaluation", "training", "none"]
    logged: Mapping[str, float] = field(default_factory=dict)
    trained: Episodes = field(default_factory=Episodes)
    evaluated: Episodes = field(default_factory=Episodes)
    train_units: int = 0
    updates: int = 0
    eval_cpu_s: float = 0.0
    failure: str | None = None
    asked: bool = True

    @property
    def scored(self) -> Episodes:
        """The episodes that fitness is computed from."""
        return self.trained if self.fitness == "training" and self.trained.returns else self.evaluated

    @property
    def needs_evaluation(self) -> bool:
        """Whether episodes must be played after training, as also where training episodes were to count and none ended."""
        return self.asked and (self.fitness == "evaluation" or (self.fitness == "training" and not self.trained.returns))

    @property
    def losses_finite(self) -> bool:
        """Whether every loss of every update was finite."""
        return all(np.isfinite(value) for name, value in self.logged.items() if "loss" in name)

    @property
    def complaint(self) -> str | None:
        """Why the episodes give no fitness; None if they do, or if none was asked for."""
        return no_fitness(self.scored) if self.asked or self.scored.returns else None

    @property
    def metrics(self) -> dict[str, float]:
        """Finite scalars under SB3's names."""
        found = {**self.logged, **episode_metrics(self.trained, self.evaluated if self.evaluated.returns else None)}
        return {name: value for name, value in found.items() if np.isfinite(value)}
