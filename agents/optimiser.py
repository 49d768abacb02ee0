"""RMSProp for a population: one learning rate a member, the moments part of a member's state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor


@final
class RMSProp:
    """v <- decay v + (1 - decay) g^2;  w <- w - rate g / (sqrt(v) + epsilon), as torch.optim.RMSprop without momentum.

    Parameters are [P, ...]; the rate is given at each step, [P], so that a changed rate needs no new optimiser.
    """

    def __init__(self, parameters: Mapping[str, Tensor], *, decay: float, epsilon: float) -> None:
        self._parameters = dict(parameters)
        self.square_averages = {name: torch.zeros_like(weight) for name, weight in parameters.items()}
        self._decay = decay
        self._epsilon = epsilon

    @torch.no_grad()
    def step(self, learning_rate: Tensor, max_grad_norm: float) -> Tensor:
        """One update from the parameters' gradients, each member's clipped to a global norm. Returns the norms, [P]."""
        weights = list(self._parameters.values())
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        squares = torch.stack([gradient.square().flatten(1).sum(1) for gradient in gradients])
        norms = squares.sum(0).sqrt()
        scale = (max_grad_norm / (norms + 1e-6)).clamp(max=1.0)  # as torch.nn.utils.clip_grad_norm_
        clipped = [gradient * _like(scale, gradient) for gradient in gradients]
        averages = list(self.square_averages.values())
        torch._foreach_mul_(averages, self._decay)
        torch._foreach_addcmul_(averages, clipped, clipped, 1.0 - self._decay)
        denominators = torch._foreach_sqrt(averages)
        torch._foreach_add_(denominators, self._epsilon)
        steps = [gradient * _like(-learning_rate, gradient) for gradient in clipped]
        torch._foreach_addcdiv_(weights, steps, denominators)
        for weight in weights:
            weight.grad = None
        return norms


def _like(per_member: Tensor, array: Tensor) -> Tensor:
    """[P] as [P, 1, ...], to meet an array of [P, ...]."""
    return per_member.view(-1, *[1] * (array.dim() - 1))
