"""Optimisers for a population: hyperparameters that may evolve are given at each step, one per member; moments are state."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, final

import torch
from torch import Tensor

from rl_pbt.agents.aliases import Slots


class Optimiser(Protocol):
    """Updates the weights of all members; owns its moments."""

    def slots(self) -> Slots:
        """The moments as they are now: everything that a checkpoint needs."""
        ...

    def step(self, *, learning_rate: Tensor, max_grad_norm: Tensor, epsilon: Tensor) -> Tensor:
        """One update from the gradients, with each member's global norm clipped to `max_grad_norm`; all arguments are [P].

        Clears the gradients and returns their norms from before clipping, [P]. A member whose gradients are not finite spoils
        only its own weights. Raises ValueError for a weight without a gradient.
        """
        ...


@final
class RMSProp:
    """v <- decay v + (1 - decay) g^2;  w <- w - rate g / (sqrt(v) + epsilon), as torch.optim.RMSprop without momentum."""

    def __init__(self, parameters: Mapping[str, Tensor], decay: float) -> None:
        self._names = list(parameters)
        self._parameters = list(parameters.values())
        self._squares = _zeros(parameters)
        self._decay = decay

    def slots(self) -> Slots:
        return {f"rmsprop.{name}": square for name, square in zip(self._names, self._squares, strict=True)}

    @torch.no_grad()
    def step(self, *, learning_rate: Tensor, max_grad_norm: Tensor, epsilon: Tensor) -> Tensor:
        gradients, norms = _take_clipped(self._parameters, max_grad_norm)
        torch._foreach_mul_(self._squares, self._decay)
        torch._foreach_addcmul_(self._squares, gradients, gradients, 1.0 - self._decay)
        denominators = torch._foreach_sqrt(self._squares)
        torch._foreach_add_(denominators, _like_each(epsilon, denominators))
        torch._foreach_mul_(gradients, _like_each(-learning_rate, gradients))
        torch._foreach_addcdiv_(self._parameters, gradients, denominators)
        return norms


@final
class Adam:
    """Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization", Algorithm 1, as torch.optim.Adam without weight decay.

        m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2
        w <- w - rate m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + epsilon)

    Each member has its own t: an exploit copies it together with the moments that it corrects.
    """

    def __init__(self, parameters: Mapping[str, Tensor], decays: tuple[float, float] = (0.9, 0.999)) -> None:
        self._names = list(parameters)
        self._parameters = list(parameters.values())
        self._means, self._squares = _zeros(parameters), _zeros(parameters)
        first = self._parameters[0]
        self._steps = torch.zeros(len(first), dtype=torch.int64, device=first.device)
        self._decays = decays

    def slots(self) -> Slots:
        means = {f"adam.mean.{name}": mean for name, mean in zip(self._names, self._means, strict=True)}
        squares = {f"adam.square.{name}": square for name, square in zip(self._names, self._squares, strict=True)}
        return {**means, **squares, "adam.steps": self._steps}

    @torch.no_grad()
    def step(self, *, learning_rate: Tensor, max_grad_norm: Tensor, epsilon: Tensor) -> Tensor:
        gradients, norms = _take_clipped(self._parameters, max_grad_norm)
        mean_decay, square_decay = self._decays
        torch._foreach_lerp_(self._means, gradients, 1.0 - mean_decay)
        torch._foreach_mul_(self._squares, square_decay)
        torch._foreach_addcmul_(self._squares, gradients, gradients, 1.0 - square_decay)
        self._steps += 1
        # In float64: after few steps 1 - 0.999^t is a difference of nearly equal numbers.
        steps = self._steps.to(torch.float64)
        rates = learning_rate / (1.0 - mean_decay**steps)
        roots = (1.0 - square_decay**steps).sqrt()
        denominators = torch._foreach_sqrt(self._squares)
        torch._foreach_div_(denominators, _like_each(roots, denominators))
        torch._foreach_add_(denominators, _like_each(epsilon, denominators))
        updates = torch._foreach_mul(self._means, _like_each(-rates, self._means))
        torch._foreach_addcdiv_(self._parameters, updates, denominators)
        return norms


# Each is made from the weights of all members and RMSProp's decay.
OPTIMISERS: Mapping[str, Callable[[Mapping[str, Tensor], float], Optimiser]] = {
    "rmsprop": RMSProp,
    "adam": lambda parameters, _: Adam(parameters),
}


def make_optimiser(name: str, parameters: Mapping[str, Tensor], *, decay: float) -> Optimiser:
    """An optimiser of `parameters`, each [P, ...]; `decay` is RMSProp's. Raises ValueError for an unknown name."""
    if name not in OPTIMISERS:
        raise ValueError(f"unknown optimiser {name!r}: use {' or '.join(OPTIMISERS)}")
    return OPTIMISERS[name](parameters, decay)


def _zeros(parameters: Mapping[str, Tensor]) -> list[Tensor]:
    return [torch.zeros_like(weight) for weight in parameters.values()]


def _take_clipped(parameters: Sequence[Tensor], max_grad_norm: Tensor) -> tuple[list[Tensor], Tensor]:
    """Each member's gradients, clipped as by torch.nn.utils.clip_grad_norm_, and their norms before that, [P].

    The gradients are taken off the parameters, and the caller may write into them.
    """
    gradients = []
    for weight in parameters:
        if weight.grad is None:
            raise ValueError(f"a weight of {tuple(weight.shape)} has no gradient: it is not part of the loss")
        gradients.append(weight.grad)
        weight.grad = None
    norms = torch.stack([torch.linalg.vector_norm(gradient.flatten(1), dim=1) for gradient in gradients]).square().sum(0).sqrt()
    scale = (max_grad_norm / (norms + 1e-6)).clamp(max=1.0)
    torch._foreach_mul_(gradients, _like_each(scale, gradients))
    return gradients, norms


def _like_each(per_member: Tensor, arrays: Sequence[Tensor]) -> list[Tensor]:
    """[P] as [P, 1, ...], once for each array [P, ...] and of its dtype."""
    return [per_member.to(array.dtype).view(-1, *[1] * (array.dim() - 1)) for array in arrays]
