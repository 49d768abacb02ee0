"""A population of translators: weights and Adam's moments, the updates that they learn by, and what a checkpoint holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import final

import torch
from torch import Tensor

from rl_pbt.agents.aliases import Bools, Slots
from rl_pbt.agents.networks import Weights
from rl_pbt.agents.optimiser import Adam
from rl_pbt.agents.slots import finite, load_slots, stacked, state_of
from rl_pbt.arrays import State
from rl_pbt.tasks.translation.batches import Batch
from rl_pbt.tasks.translation.decoding import translated
from rl_pbt.tasks.translation.smoothing import smoothed_loss
from rl_pbt.tasks.translation.sub_words import BEGIN
from rl_pbt.tasks.translation.transformer import Drop, Shape, first_weights, logits

DECAYS, EPSILON = (0.9, 0.98), 1e-9  # Adam's (Vaswani 2017, sec. 5.3)


@final
class Translators:
    """P members; `seeds[p]` alone decides member p's initial weights, so it starts the same in any population."""

    def __init__(self, shape: Shape, seeds: Sequence[int], smoothing: float = 0.0) -> None:
        self._shape = shape
        self._smoothing = smoothing
        first = stacked(lambda seed: first_weights(shape, torch.Generator().manual_seed(seed)), seeds)
        self.weights: Weights = {name: weight.requires_grad_() for name, weight in first.items()}
        self._optimiser = Adam(self.weights, DECAYS)
        members = len(seeds)
        self._never_clipped = torch.full((members,), float("inf"))
        self._epsilon = torch.full((members,), EPSILON, dtype=torch.float64)
        self._finite = torch.ones(members, dtype=torch.bool)

    def _slots(self) -> Slots:
        """Everything that an exploit copies."""
        return {**{f"weights.{name}": weight.detach() for name, weight in self.weights.items()}, **self._optimiser.slots()}

    def state(self, member: int) -> State:
        """A copy of one member's weights and moments."""
        return state_of(self._slots(), member)

    def load_state(self, member: int, state: State) -> None:
        """Overwrite one member. Raises CheckpointMismatch, before anything is changed, for a state of something else."""
        load_slots(self._slots(), member, state)
        self._finite[member] = True

    def loss(self, batch: Batch, drop: Drop) -> Tensor:
        """The loss of each member, [P]."""
        targets = torch.from_numpy(batch.targets)
        before = torch.cat([targets.new_full((*targets.shape[:2], 1), BEGIN), targets[..., :-1]], -1)
        of_next = logits(self.weights, self._shape, torch.from_numpy(batch.sources), before, drop)
        return smoothed_loss(of_next, targets.flatten(1), self._smoothing)

    def learn(self, batch: Batch, learning_rates: Tensor, drop: Drop) -> tuple[Tensor, Tensor]:
        """One update of each member, at its own rate [P]. Returns losses and norms of the gradients, each [P]."""
        loss = self.loss(batch, drop)
        loss.sum().backward()  # type: ignore[no-untyped-call]  # members share no weight
        norms = self._optimiser.step(learning_rate=learning_rates, max_grad_norm=self._never_clipped, epsilon=self._epsilon)
        self._finite &= torch.isfinite(loss.detach()) & torch.isfinite(norms)
        return loss.detach(), norms

    def translate(
        self, sources: Sequence[Sequence[int]], members: Sequence[int], alive: Callable[[], None] = lambda: None
    ) -> list[list[list[int]]]:
        """For each of the `members`, a translation of each source, in sub-words."""
        chosen = {name: weight.detach()[list(members)] for name, weight in self.weights.items()}
        return translated(chosen, self._shape, sources, alive)

    def healthy(self) -> Bools:
        """Which members have only finite weights and have had only finite losses since they were made or loaded, [P]."""
        return (self._finite & finite(self.weights)).numpy()
