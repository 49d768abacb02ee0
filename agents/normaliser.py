"""Running statistics, one set for each member: of observations, and of discounted returns, by which rewards are scaled.

Both are as in Stable-Baselines3's VecNormalize; moments are merged as in Chan et al. 1979, "Updating Formulae and a Pairwise
Algorithm for Computing Sample Variances".
"""

from __future__ import annotations

import copy
from typing import final

import torch
from torch import Tensor

from rl_pbt.agents.aliases import Slots

CLIP = 10.0
EPSILON = 1e-8
ALL = slice(None)


@final
class Moments:
    """Mean and variance [P, *shape] and count [P] of all samples so far, in float64, updated in place.

    They begin with mean 0 and variance 1, whose count of 1e-4 is soon negligible.
    """

    def __init__(self, members: int, shape: tuple[int, ...], device: str) -> None:
        self.mean = torch.zeros(members, *shape, dtype=torch.float64, device=device)
        self.variance = torch.ones(members, *shape, dtype=torch.float64, device=device)
        self.count = torch.full((members,), 1e-4, dtype=torch.float64, device=device)

    def of_members(self, members: Tensor | slice) -> Moments:
        """A copy of these members' moments as they are now."""
        alone = copy.copy(self)
        alone.mean, alone.variance, alone.count = (one[members].clone() for one in (self.mean, self.variance, self.count))
        return alone

    def on(self, device: str) -> Moments:
        """A copy on another device."""
        moved = copy.copy(self)
        moved.mean, moved.variance, moved.count = (one.to(device) for one in (self.mean, self.variance, self.count))
        return moved

    def update(self, samples: Tensor, valid: Tensor) -> None:
        """Take in samples [T, P, B, *shape] where `valid` [T, P, B]; the others may hold anything."""
        weights = valid.to(torch.float64)
        weights = weights.view(*weights.shape, *[1] * (samples.dim() - 3))
        batch = torch.where(weights > 0, samples.to(torch.float64), 0.0)  # 0 times NaN would be NaN
        count = valid.sum((0, 2)).to(torch.float64)
        shaped = count.view(-1, *[1] * (batch.dim() - 3)).clamp(min=1.0)
        mean = (batch * weights).sum((0, 2)) / shaped
        deviation = (batch - mean[None, :, None]) * weights
        variance = deviation.square().sum((0, 2)) / shaped
        self._merge(mean, variance, count)

    def _merge(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        self.count += count
        share = (count / self.count).view(-1, *[1] * (mean.dim() - 1))
        delta = mean - self.mean
        self.variance += share * (variance - self.variance) + share * (1.0 - share) * delta.square()
        self.mean += share * delta

    def slots(self) -> Slots:
        """Everything that a checkpoint needs."""
        return {"mean": self.mean, "variance": self.variance, "count": self.count}


@final
class Normaliser:
    """Scales observations to mean 0 and variance 1, with statistics of training observations only."""

    def __init__(self, members: int, shape: tuple[int, ...], device: str) -> None:
        self._moments = Moments(members, shape, device)

    def slots(self) -> Slots:
        """The moments of the observations."""
        return self._moments.slots()

    def of_members(self, members: Tensor | slice = ALL) -> Normaliser:
        """A copy for these members alone, with their statistics as they are now."""
        alone = copy.copy(self)
        alone._moments = self._moments.of_members(members)
        return alone

    def on(self, device: str) -> Normaliser:
        """A copy on another device."""
        moved = copy.copy(self)
        moved._moments = self._moments.on(device)
        return moved

    def update(self, observations: Tensor, valid: Tensor) -> None:
        """Take in observations [T, P, B, *observation] where `valid` [T, P, B]; the others may hold anything."""
        self._moments.update(observations, valid)

    def __call__(self, observations: Tensor) -> Tensor:
        """[P, N, *observation], normalised and clipped, float32."""
        mean, variance = self._moments.mean[:, None], self._moments.variance[:, None]
        return ((observations - mean) / (variance + EPSILON).sqrt()).clamp(-CLIP, CLIP).to(torch.float32)


@final
class ReturnScale:
    """Divides rewards by the standard deviation of the discounted return; no mean is subtracted.

    The discount is a constant, not the hyperparameter of that name: otherwise a member that changed its discount would change the
    scale of its own rewards, and with it the meaning of its learning rate and its entropy cost.
    """

    DISCOUNT = 0.99

    def __init__(self, members: int, device: str) -> None:
        self._moments = Moments(members, (), device)
        # [P, B] float64, discounted sums of the current episodes. Not a slot, because an interval may begin with new episodes.
        self._returns: Tensor | None = None

    def slots(self) -> Slots:
        """The moments of the discounted returns."""
        return self._moments.slots()

    def sums(self, envs: int) -> Tensor:
        """Discounted sums of the current episodes, [P, B] float64, to read and to write; zeros before the first step."""
        if self._returns is None:
            count = self._moments.count
            self._returns = torch.zeros(len(count), envs, dtype=torch.float64, device=count.device)
        return self._returns

    def update(self, rewards: Tensor, valid: Tensor) -> None:
        """Take in consecutive steps [T, P, B]; one that is not valid resets its episode's sum to 0, whatever reward it holds."""
        returns = self.sums(rewards.shape[2])
        returns_t = []
        for reward, is_valid in zip(rewards.to(torch.float64), valid, strict=True):
            returns = torch.where(is_valid, self.DISCOUNT * returns + reward, 0.0)
            returns_t.append(returns)
        self._returns = returns
        self._moments.update(torch.stack(returns_t), valid)

    def __call__(self, rewards: Tensor) -> Tensor:
        """[T, P, B], scaled and clipped, float32."""
        scaled = rewards / (self._moments.variance[:, None] + EPSILON).sqrt()
        return scaled.clamp(-CLIP, CLIP).to(torch.float32)
