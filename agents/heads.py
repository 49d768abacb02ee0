"""Action distributions: from policy outputs and pre-drawn noise to actions, log probabilities and entropies.

Sampling is a function of noise that the caller draws, so that a member's actions depend on its own random stream alone.
"""

from __future__ import annotations

import math
from typing import Protocol, final

import gymnasium
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from rl_pbt.agents.aliases import Array, Space
from rl_pbt.agents.networks import UnsupportedSpace, Weights, sigmoid


class Head(Protocol):
    """How to act in one kind of action space. `outputs` are those of the policy layer, [..., size]."""

    size: int

    def initialise(self) -> Weights:
        """One member's weights in addition to those of the policy layer."""
        ...

    def noise(self, generator: torch.Generator, length: int, envs: int) -> Tensor:
        """Noise for `length` steps of one member, [T, B] or [T, B, D]."""
        ...

    def sample(self, weights: Weights, outputs: Tensor, noise: Tensor) -> Tensor:
        """Actions [P, B, ...] for outputs [P, B, size] and one step's noise [P, B, ...], their only randomness."""
        ...

    def likeliest(self, outputs: Tensor) -> Tensor:
        """The action at the mode of the distribution, for outputs [..., size]."""
        ...

    def log_prob_and_entropy(self, weights: Weights, outputs: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs [P, N, size], actions [P, N] or [P, N, D] -> log probabilities and entropies, both [P, N]."""
        ...

    def to_environment(self, actions: Tensor) -> Array:
        """Actions as the environment takes them, in its own shape and type."""
        ...

    def as_environment(self, actions: Tensor) -> Tensor:
        """The same as a tensor, computed by torch alone, so that it can be part of an exported graph."""
        ...


@final
class Categorical:
    """Discrete(n): softmax policy, sampled by inverting its cumulative distribution."""

    def __init__(self, space: gymnasium.spaces.Discrete) -> None:
        self.size = int(space.n)
        self._start = int(space.start)

    def initialise(self) -> Weights:
        return {}

    def noise(self, generator: torch.Generator, length: int, envs: int) -> Tensor:
        return torch.rand(length, envs, generator=generator)

    def sample(self, weights: Weights, outputs: Tensor, noise: Tensor) -> Tensor:
        return _inverted(torch.softmax(outputs, -1), noise)

    def likeliest(self, outputs: Tensor) -> Tensor:
        return outputs.argmax(-1)

    def log_prob_and_entropy(self, weights: Weights, outputs: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        return _chosen(outputs, actions)

    def to_environment(self, actions: Tensor) -> Array:
        return np.asarray((actions + self._start).cpu().numpy(), np.int64)

    def as_environment(self, actions: Tensor) -> Tensor:
        return actions + self._start


@final
class MultiCategorical:
    """MultiDiscrete of any shape, flattened to D parts: independent softmax policies, whose log probabilities add up.

    Computed part by part: padding five parts to one length takes half as long again, and 0 times its minus infinities is NaN.
    """

    def __init__(self, space: gymnasium.spaces.MultiDiscrete[np.integer]) -> None:
        self._counts = [int(count) for count in space.nvec.reshape(-1)]
        self.size = sum(self._counts)
        self._space = space

    def initialise(self) -> Weights:
        return {}

    def noise(self, generator: torch.Generator, length: int, envs: int) -> Tensor:
        return torch.rand(length, envs, len(self._counts), generator=generator)

    def sample(self, weights: Weights, outputs: Tensor, noise: Tensor) -> Tensor:
        parts = zip(torch.split_with_sizes(outputs, self._counts, -1), noise.unbind(-1), strict=True)
        return torch.stack([_inverted(torch.softmax(part, -1), its_noise) for part, its_noise in parts], -1)

    def likeliest(self, outputs: Tensor) -> Tensor:
        return torch.stack([part.argmax(-1) for part in torch.split_with_sizes(outputs, self._counts, -1)], -1)

    def log_prob_and_entropy(self, weights: Weights, outputs: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        parts = zip(torch.split_with_sizes(outputs, self._counts, -1), actions.unbind(-1), strict=True)
        log_probs, entropies = zip(*(_chosen(part, action) for part, action in parts), strict=True)
        return torch.stack(log_probs).sum(0), torch.stack(entropies).sum(0)

    def to_environment(self, actions: Tensor) -> Array:
        shaped = actions.cpu().numpy().reshape(*actions.shape[:-1], *self._space.shape)
        return np.asarray(shaped + self._space.start, self._space.dtype)

    def as_environment(self, actions: Tensor) -> Tensor:
        start = torch.tensor(self._space.start)
        return (actions.reshape(*actions.shape[:-1], *self._space.shape) + start).to(start.dtype)


@final
class Bernoulli:
    """MultiBinary of any shape, flattened to D parts: independent Bernoulli policies, whose log probabilities add up."""

    def __init__(self, space: gymnasium.spaces.MultiBinary) -> None:
        self.size = int(math.prod(space.shape))
        self._space = space

    def initialise(self) -> Weights:
        return {}

    def noise(self, generator: torch.Generator, length: int, envs: int) -> Tensor:
        return torch.rand(length, envs, self.size, generator=generator)

    def sample(self, weights: Weights, outputs: Tensor, noise: Tensor) -> Tensor:
        # A diverged member's NaNs compare as False and give 0, as in `_inverted`.
        return (noise < sigmoid(outputs.clone())).to(torch.int64)

    def likeliest(self, outputs: Tensor) -> Tensor:
        return (outputs > 0).to(torch.int64)

    def log_prob_and_entropy(self, weights: Weights, outputs: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        log_ones, log_zeros = F.logsigmoid(outputs), F.logsigmoid(-outputs)
        log_probs = torch.where(actions > 0, log_ones, log_zeros)
        entropies = -(log_ones.exp() * log_ones + log_zeros.exp() * log_zeros)
        return log_probs.sum(-1), entropies.sum(-1)

    def to_environment(self, actions: Tensor) -> Array:
        shaped = actions.cpu().numpy().reshape(*actions.shape[:-1], *self._space.shape)
        return np.asarray(shaped, self._space.dtype)

    def as_environment(self, actions: Tensor) -> Tensor:
        return actions.reshape(*actions.shape[:-1], *self._space.shape).to(torch.int8)


@final
class DiagonalGaussian:
    """Box: normal policy whose log standard deviations are weights; actions are clipped to the box for the environment."""

    def __init__(self, space: gymnasium.spaces.Box) -> None:
        self.size = int(math.prod(space.shape))
        self._space = space

    def initialise(self) -> Weights:
        return {"log_std": torch.zeros(self.size)}

    def noise(self, generator: torch.Generator, length: int, envs: int) -> Tensor:
        return torch.randn(length, envs, self.size, generator=generator)

    def sample(self, weights: Weights, outputs: Tensor, noise: Tensor) -> Tensor:
        return torch.nan_to_num(outputs + weights["log_std"].exp()[:, None] * noise)

    def likeliest(self, outputs: Tensor) -> Tensor:
        return torch.nan_to_num(outputs)

    def log_prob_and_entropy(self, weights: Weights, outputs: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        log_std = weights["log_std"][:, None]  # [P, 1, D]
        scaled = (actions - outputs) / log_std.exp()
        log_prob = (-0.5 * scaled.square() - log_std - 0.5 * math.log(2.0 * math.pi)).sum(-1)
        entropy = (log_std + 0.5 * (1.0 + math.log(2.0 * math.pi))).sum(-1)
        return log_prob, entropy.expand_as(log_prob)

    def to_environment(self, actions: Tensor) -> Array:
        shaped = actions.cpu().numpy().reshape(*actions.shape[:-1], *self._space.shape)
        return np.asarray(np.clip(shaped, self._space.low, self._space.high), self._space.dtype)

    def as_environment(self, actions: Tensor) -> Tensor:
        low, high = torch.tensor(self._space.low), torch.tensor(self._space.high)
        return actions.reshape(*actions.shape[:-1], *self._space.shape).to(low.dtype).clamp(low, high)


def make_head(space: Space) -> Head:
    """The head of an action space. Raises UnsupportedSpace for all but Discrete, MultiDiscrete, MultiBinary and Box of floats."""
    match space:
        case gymnasium.spaces.Discrete():
            return Categorical(space)
        case gymnasium.spaces.MultiDiscrete() if space.nvec.size:
            return MultiCategorical(space)
        case gymnasium.spaces.MultiBinary() if 0 not in space.shape:
            return Bernoulli(space)
        case gymnasium.spaces.Box() if np.issubdtype(space.dtype, np.floating) and 0 not in space.shape:
            return DiagonalGaussian(space)
    raise UnsupportedSpace(
        f"actions of {space} are not supported: wrap the environment in gymnasium.wrappers.TransformAction "
        "so that it takes Discrete, MultiDiscrete, MultiBinary or a Box of floats"
    )


def _inverted(probabilities: Tensor, noise: Tensor) -> Tensor:
    """Choices [...] from probabilities [..., K] and noise [...], uniform in [0, 1), by inverting the cumulative distribution."""
    # A diverged member's NaNs compare as False and give choice 0: legal, and its neighbours never see them.
    below = probabilities.cumsum(-1)[..., :-1]
    return (below < noise[..., None]).sum(-1)


def _chosen(logits: Tensor, choices: Tensor) -> tuple[Tensor, Tensor]:
    """Log probabilities of choices [...] under a softmax of logits [..., K], and the softmax's entropies, both [...]."""
    log_probs = torch.log_softmax(logits, -1)
    log_prob = log_probs.gather(-1, choices[..., None]).squeeze(-1)
    return log_prob, -(log_probs.exp() * log_probs).sum(-1)
