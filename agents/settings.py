"""What stays fixed while an agent trains, with its defaults; a command is checked against it before torch is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# Names that are defined in modules which load torch; a test keeps the two in agreement.
CHOICES: Mapping[str, tuple[str, ...]] = {
    "optimiser": ("rmsprop", "adam"),
    "core": ("none", "lstm"),
    "rewards": ("true", "clip", "symlog"),
    "anneal": ("none", "linear"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorCriticConfig:
    """What is fixed while training. Defaults are Stable-Baselines3's for A2C, except the number of environments.

    `policy_lag` is the number of updates between the weights that acted and those that learn from it; the first unrolls of an
    interval lag by fewer. With `anneal` the learning rate falls with the share of the budget that is left. Raises ValueError, one
    line, for a value out of its range.
    """

    unroll_length: int = 5
    envs_per_member: int = 16
    policy_lag: int = 0
    torso: str = "auto"
    hidden: tuple[int, ...] = (64, 64)
    core: str = "none"
    core_size: int = 256
    optimiser: str = "rmsprop"
    rmsprop_decay: float = 0.99
    anneal: str = "none"
    rewards: str = "true"
    normalise_observations: bool = False
    normalise_returns: bool = False
    autocast: bool = False

    def __post_init__(self) -> None:
        for name in ("unroll_length", "envs_per_member", "core_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, but is {getattr(self, name)}")
        if self.policy_lag < 0:
            raise ValueError(f"policy_lag must be 0 or more updates, but is {self.policy_lag}")
        if not self.hidden or min(self.hidden) < 1:
            raise ValueError(f"hidden must be layers of 1 or more units, but is {self.hidden}")
        if not 0 <= self.rmsprop_decay < 1:
            raise ValueError(f"rmsprop_decay must be from 0 to below 1, but is {self.rmsprop_decay}")
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, but is {getattr(self, name)!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PPOConfig(ActorCriticConfig):
    """Defaults are Stable-Baselines3's for PPO, except that the rollout of 2,048 steps is 128 steps of 16 environments.

    `batch_size` is the number of steps in a minibatch; the last one of an epoch may be smaller. Once the Kullback-Leibler
    divergence from the policy that acted exceeds 1.5 `target_kl`, a member stops learning from the rollout; 0 sets no limit. With
    `clip_values` the value loss clips estimates to within `clip_range` of the earlier ones, as in OpenAI's code.
    """

    unroll_length: int = 128
    optimiser: str = "adam"
    batch_size: int = 64
    normalise_advantages: bool = True
    clip_values: bool = False
    target_kl: float = 0.0

    def __post_init__(self) -> None:
        super(PPOConfig, self).__post_init__()
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be 1 or more, but is {self.batch_size}")
        if not 0 <= self.target_kl < float("inf"):
            raise ValueError(f"target_kl must be 0, for no limit, or more, but is {self.target_kl}")


@dataclass(frozen=True, slots=True, kw_only=True)
class IMPALAConfig(ActorCriticConfig):
    """Unrolls of 20 steps as in Espeholt 2018, Table G.1."""

    unroll_length: int = 20
    policy_lag: int = 1
