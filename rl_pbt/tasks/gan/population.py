"""The GANs of a group of members, in arrays with a leading axis [P]: one optimiser step is of all members, and an exploit copies
one index. Losses and gradients are computed member by member, so that each member's digits are those it would have alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import final

import torch
from torch import Tensor

from rl_pbt.agents.aliases import Bools
from rl_pbt.agents.optimiser import Adam
from rl_pbt.agents.slots import finite, load_slots, state_of
from rl_pbt.arrays import State
from rl_pbt.tasks.gan.networks import (
    Weights,
    discriminator_loss,
    discriminator_shapes,
    first_statistics,
    first_weights,
    generated,
    generator_loss,
    generator_shapes,
    judged,
)

DECAYS = (0.5, 0.999)  # of Adam's moments (Radford 2015, sec. 4)
EPSILON = 1e-8


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Batches:
    """What one member learns from in K updates of its discriminator and the update of its generator after them.

    `real` are images [K, B, 1, 28, 28] in [-1, 1]; `latents` are [K + 1, B, 64], of which the last batch is the generator's.
    """

    real: Tensor
    latents: Tensor


@final
class GanPopulation:
    """P members; `seeds[p]` alone decides member p's initial weights, so it starts the same in any population."""

    def __init__(self, seeds: Sequence[int], channels: int) -> None:
        first = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._generators = _stacked([first_weights(generator_shapes(channels), one) for one in first])
        self._discriminators = _stacked([first_weights(discriminator_shapes(channels), one) for one in first])
        self._statistics = _stacked([first_statistics(channels) for _ in seeds])
        self._of_generators = Adam(self._generators, DECAYS)
        self._of_discriminators = Adam(self._discriminators, DECAYS)
        self._rates = {name: torch.zeros(len(seeds), dtype=torch.float64) for name in ("generator", "discriminator")}
        self._finite = torch.ones(len(seeds), dtype=torch.bool)

    def set_rates(self, *, generator: Sequence[float], discriminator: Sequence[float]) -> None:
        """Set the learning rates, one per member, from the next update on."""
        self._rates = {
            "generator": torch.tensor(list(generator), dtype=torch.float64),
            "discriminator": torch.tensor(list(discriminator), dtype=torch.float64),
        }

    def _slots(self) -> dict[str, Tensor]:
        """Everything that an exploit copies."""
        parts: dict[str, Mapping[str, Tensor]] = {
            "weights.generator": self._generators,
            "weights.discriminator": self._discriminators,
            "statistics": self._statistics,
            "optimiser.generator": self._of_generators.slots(),
            "optimiser.discriminator": self._of_discriminators.slots(),
        }
        return {f"{part}.{name}": tensor.detach() for part, slots in parts.items() for name, tensor in slots.items()}

    def state(self, member: int) -> State:
        """A copy of one member's weights, moments and statistics."""
        return state_of(self._slots(), member)

    def load_state(self, member: int, state: State) -> None:
        """Overwrite one member. Raises CheckpointMismatch, before anything is changed, where names, shapes or types differ."""
        load_slots(self._slots(), member, state)
        self._finite[member] = True

    def learn(self, batches: Sequence[Batches]) -> dict[str, Tensor]:
        """K updates of each discriminator, then one of its generator. Returns losses, each [P]; the discriminator's is a mean."""
        of_discriminators = []
        for step in range(len(batches[0].real)):
            real = [one.real[step] for one in batches]
            fakes = [self._made(member, one.latents[step]) for member, one in enumerate(batches)]
            loss = partial(_of_discriminator, real, fakes)
            of_discriminators.append(self._descend(self._discriminators, self._of_discriminators, "discriminator", loss))
        last = [one.latents[-1] for one in batches]
        of_generators = self._descend(self._generators, self._of_generators, "generator", partial(self._of_generator, last))
        return {"discriminator_loss": torch.stack(of_discriminators).mean(0), "generator_loss": of_generators}

    def _of_generator(self, latents: Sequence[Tensor], member: int, weights: Weights) -> Tensor:
        """A generator's loss with these weights, against its discriminator as it is now."""
        made = generated(weights, latents[member], _of(self._statistics, member), training=True)
        return generator_loss(judged(_of(self._discriminators, member), made))

    @torch.no_grad()
    def _made(self, member: int, latents: Tensor) -> Tensor:
        """Images for the discriminator; in the generator, only its running statistics change."""
        return generated(_of(self._generators, member), latents, _of(self._statistics, member), training=True)

    def _descend(
        self, stacked: Mapping[str, Tensor], optimiser: Adam, name: str, loss: Callable[[int, Weights], Tensor]
    ) -> Tensor:
        """One update of one network of every member. Returns the losses before it, [P]."""
        gradients: list[tuple[Tensor, ...]] = []
        losses = []
        for member in range(len(self._finite)):
            weights = {key: weight.requires_grad_() for key, weight in _of(stacked, member).items()}
            of_member = loss(member, weights)
            gradients.append(torch.autograd.grad(of_member, list(weights.values())))
            losses.append(of_member.detach())
        for weight, of_members in zip(stacked.values(), zip(*gradients, strict=True), strict=True):
            weight.grad = torch.stack(of_members)
        without_limit = torch.full_like(self._rates[name], torch.inf)  # gradients are not clipped
        epsilon = torch.full_like(without_limit, EPSILON)
        norms = optimiser.step(learning_rate=self._rates[name], max_grad_norm=without_limit, epsilon=epsilon)
        found = torch.stack(losses)
        self._finite &= torch.isfinite(found) & torch.isfinite(norms)
        return found

    @torch.no_grad()
    def images(self, member: int, latents: Tensor) -> Tensor:
        """The images that a member makes, each from its own latent vector alone: [N, 64] -> [N, 1, 28, 28] in [-1, 1]."""
        return generated(_of(self._generators, member), latents, _of(self._statistics, member), training=False)

    def healthy(self) -> Bools:
        """Which members have only finite weights and have had only finite losses since they were made or loaded, [P]."""
        parts = (self._generators, self._discriminators, self._statistics)
        return (self._finite & torch.stack([finite(part) for part in parts]).all(0)).numpy()


def _of_discriminator(real: Sequence[Tensor], fakes: Sequence[Tensor], member: int, weights: Weights) -> Tensor:
    return discriminator_loss(judged(weights, real[member]), judged(weights, fakes[member]))


def _stacked(of_members: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The members' tensors stacked by name, each [P, ...]."""
    return {name: torch.stack([one[name] for one in of_members]) for name in of_members[0]}


def _of(stacked: Mapping[str, Tensor], member: int) -> dict[str, Tensor]:
    """One member's slice of each tensor, as views: writing to them writes to the stack."""
    return {name: tensor[member].detach() for name, tensor in stacked.items()}
