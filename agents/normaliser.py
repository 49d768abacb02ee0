"""Running mean and variance of vector observations, one for each member (Chan et al. 1979, parallel update)."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

CLIP = 10.0  # as Stable-Baselines3's VecNormalize


@final
class Normaliser:
    """Statistics [P, *observation] in float64, updated from training observations only."""

    def __init__(self, members: int, shape: tuple[int, ...], device: str) -> None:
        self.mean = torch.zeros(members, *shape, dtype=torch.float64, device=device)
        self.variance = torch.ones(members, *shape, dtype=torch.float64, device=device)
        self.count = torch.full((members,), 1e-4, dtype=torch.float64, device=device)

    def update(self, observations: Tensor, valid: Tensor) -> None:
        """Take in observations [T, P, B, *observation] where `valid` [T, P, B]; the others may hold anything."""
        weights = valid.to(torch.float64)
        weights = weights.view(*weights.shape, *[1] * (observations.dim() - 3))
        batch = torch.where(weights > 0, observations.to(torch.float64), 0.0)  # 0 times NaN would be NaN
        count = valid.sum((0, 2)).to(torch.float64)
        shaped = count.view(-1, *[1] * (batch.dim() - 3)).clamp(min=1.0)
        mean = (batch * weights).sum((0, 2)) / shaped
        deviation = (batch - mean[None, :, None]) * weights
        variance = deviation.square().sum((0, 2)) / shaped
        self._merge(mean, variance, count)

    def _merge(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        total = self.count + count
        shape = (-1, *[1] * (mean.dim() - 1))
        share = (count / total).view(shape)
        delta = mean - self.mean
        self.variance += share * (variance - self.variance) + share * (1.0 - share) * delta.square()
        self.mean += share * delta
        self.count = total

    def __call__(self, observations: Tensor) -> Tensor:
        """[P, N, *observation], normalised and clipped, float32."""
        scaled = (observations - self.mean[:, None]) / (self.variance[:, None] + 1e-8).sqrt()
        return scaled.clamp(-CLIP, CLIP).to(torch.float32)
