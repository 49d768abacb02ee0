"""Dropout of a population: each member has its own rates, and its own random stream for each kind of dropout.

So what one member drops depends neither on who else is trained beside it nor on its other rates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

import numpy as np
import torch
from torch import Tensor

from rl_pbt import seeds

KINDS = ("attention", "residual", "relu", "embedding")
LEVELS = 2**16  # steps of a rate: a perturbation by a fifth still changes a rate of a ten-thousandth


@final
class Dropout:
    """The masks of an interval. `rates` has those of each kind, [P]; `members` are their numbers in the population."""

    def __init__(self, rates: Mapping[str, Sequence[float]], root_seed: int, members: Sequence[int], generation: int) -> None:
        # Half of all signed 16-bit numbers are below 0; what is dropped is below the threshold.
        self._thresholds = {
            kind: [round(rate * LEVELS) - LEVELS // 2 for rate in of_members] for kind, of_members in rates.items()
        }
        self._scales = {kind: torch.tensor([1.0 / (1.0 - rate) for rate in of_members]) for kind, of_members in rates.items()}
        self._rngs = {
            kind: [
                seeds.rng(root_seed, purpose=f"translation/{kind} dropout", member=member, generation=generation)
                for member in members
            ]
            for kind, of_members in rates.items()
            if any(of_members)
        }

    def __call__(self, kind: str, values: Tensor) -> Tensor:
        """[P, ...] -> [P, ...]: some values become 0 and the others larger, so that the mean stays the same."""
        if kind not in self._rngs:
            return values
        count = values[0].numel()
        kept = [
            np.frombuffer(rng.bytes(2 * count), dtype=np.int16) >= threshold
            for rng, threshold in zip(self._rngs[kind], self._thresholds[kind], strict=True)
        ]
        mask = torch.from_numpy(np.stack(kept)).to(values.dtype) * self._scales[kind][:, None]
        return values * mask.view(values.shape)


def nothing_dropped(kind: str, values: Tensor) -> Tensor:
    """No dropout, as in evaluation."""
    return values
