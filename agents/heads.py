"""Action distributions: from policy outputs and pre-drawn noise to actions, log probabilities and entropies.

Sampling is a function of noise that the caller draws, so that a member's actions depend on its own stream alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol, final

import gymnasium
import numpy as np
import torch
from torch import Tensor

from agents.networks import UnsupportedSpace, Weights


class Head(Protocol):
    """How one kind of action space is acted in. `outputs` is [..., size] of the policy layer."""

    size: int

    def initialise(self) -> Weights:
        """Weights of one member beside the policy layer's."""
        ...

    def noise(self, generator: torch.Generator, length: int, envs: int) -> Tensor:
        """Noise for `length` steps of one member, [T, B] or [T, B, D]."""
        ...

    def sample(self, weights: Weights, outputs: Tensor, noise: Tensor) -> Tensor: ...

    def log_prob_and_entropy(self, weights: Weights, outputs: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs [P, N, size], actions [P, N] or [P, N, D] -> two of [P, N]."""
        ...

    def to_environment(self, actions: Tensor) -> np.ndarray[Any, Any]: ...


@final
class Categorical:
    """Discrete(n): softmax policy, sampled by inverting its distribution function."""

    def __init__(self, space: gymnasium.spaces.Discrete) -> None:
        self.size = int(space.n)
        self._start = int(space.start)

    def initialise(self) -> Weights:
        return {}

    def noise(self, generator: torch.Generator, length: int, envs: int) -> Tensor:
        return torch.rand(length, envs, generator=generator)

    def sample(self, weights: Weights, outputs: Tensor, noise: Tensor) -> Tensor:
        # A diverged member's NaNs compare as False and give action 0: legal, and its neighbours never see them.
        below = torch.softmax(outputs, -1).cumsum(-1)[..., :-1]
        return (below < noise[..., None]).sum(-1)

    def log_prob_and_entropy(self, weights: Weights, outputs: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        log_probs = torch.log_softmax(outputs, -1)
        chosen = log_probs.gather(-1, actions[..., None]).squeeze(-1)
        return chosen, -(log_probs.exp() * log_probs).sum(-1)

    def to_environment(self, actions: Tensor) -> np.ndarray[Any, Any]:
        return np.asarray((actions + self._start).cpu().numpy(), np.int64)


@final
class DiagonalGaussian:
    """Box: normal policy with a standard deviation of its own weights; actions are clipped to the box for the environment."""

    def __init__(self, space: gymnasium.spaces.Box) -> None:
        self.size = int(math.prod(space.shape))
        self._space = space

    def initialise(self) -> Weights:
        return {"log_std": torch.zeros(self.size)}

    def noise(self, generator: torch.Generator, length: int, envs: int) -> Tensor:
        return torch.randn(length, envs, self.size, generator=generator)

    def sample(self, weights: Weights, outputs: Tensor, noise: Tensor) -> Tensor:
        return torch.nan_to_num(outputs + weights["log_std"].exp()[:, None] * noise)

    def log_prob_and_entropy(self, weights: Weights, outputs: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        log_std = weights["log_std"][:, None]  # [P, 1, D]
        scaled = (actions - outputs) / log_std.exp()
        log_prob = (-0.5 * scaled.square() - log_std - 0.5 * math.log(2.0 * math.pi)).sum(-1)
        entropy = (log_std + 0.5 * (1.0 + math.log(2.0 * math.pi))).sum(-1)
        return log_prob, entropy.expand_as(log_prob)

    def to_environment(self, actions: Tensor) -> np.ndarray[Any, Any]:
        shaped = actions.cpu().numpy().reshape(*actions.shape[:-1], *self._space.shape)
        return np.asarray(np.clip(shaped, self._space.low, self._space.high), self._space.dtype)


def make_head(space: gymnasium.Space[Any]) -> Head:
    """Raises UnsupportedSpace for action spaces other than Discrete and Box of floats."""
    if isinstance(space, gymnasium.spaces.Discrete):
        return Categorical(space)
    if isinstance(space, gymnasium.spaces.Box) and np.issubdtype(space.dtype, np.floating):
        return DiagonalGaussian(space)
    raise UnsupportedSpace(f"actions of {space} are not supported: use an environment with Discrete or Box actions")


def stack_noise(head: Head, generators: Sequence[torch.Generator], length: int, envs: int) -> Tensor:
    """[T, P, B, ...], each member's from its own generator."""
    return torch.stack([head.noise(generator, length, envs) for generator in generators], 1)
