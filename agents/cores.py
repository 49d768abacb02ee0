"""What a policy remembers between steps: nothing, or a long short-term memory (Hochreiter & Schmidhuber 1997).

A core takes the features of T steps of B environments, flattened time-major to [P, T B, in], and the state [P, B, width] before
the first of them. A `fresh` step begins an episode, so the state before it is reset to zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, final

import torch
from torch import Tensor

from rl_pbt.agents.networks import Weights, affine, orthogonal


class Core(Protocol):
    """Features to features, with a state that is zero at the start of an episode."""

    features: int
    width: int  # of the state; 0 for a core without one

    def initialise(self, generator: torch.Generator) -> Weights:
        """One member's weights, without the population axis."""
        ...

    def __call__(self, weights: Weights, features: Tensor, state: Tensor, fresh: Tensor) -> tuple[Tensor, Tensor]:
        """Features [P, T B, in], state [P, B, width], fresh [T, P, B] bool -> features [P, T B, out], state [P, B, width]."""
        ...


@final
class Feedforward:
    """No memory."""

    width = 0

    def __init__(self, inputs: int, size: int) -> None:
        self.features = inputs

    def initialise(self, generator: torch.Generator) -> Weights:
        return {}

    def __call__(self, weights: Weights, features: Tensor, state: Tensor, fresh: Tensor) -> tuple[Tensor, Tensor]:
        return features, state


@final
class LSTM:
    """One layer, with gates and their order (input, forget, cell, output) as in torch.nn.LSTM, but a single bias.

    The state is the hidden and the cell state, concatenated. Weights start orthogonal with gain 1, and biases at zero, including
    the forget gate's, as in CleanRL's ppo_atari_lstm.py.
    """

    def __init__(self, inputs: int, size: int) -> None:
        self._inputs = inputs
        self.features = size
        self.width = 2 * size

    def initialise(self, generator: torch.Generator) -> Weights:
        return {
            "core.input.weight": orthogonal((4 * self.features, self._inputs), 1.0, generator).T.contiguous(),
            "core.hidden.weight": orthogonal((4 * self.features, self.features), 1.0, generator).T.contiguous(),
            "core.bias": torch.zeros(4 * self.features),
        }

    def __call__(self, weights: Weights, features: Tensor, state: Tensor, fresh: Tensor) -> tuple[Tensor, Tensor]:
        length, members, envs = fresh.shape
        inputs = affine(weights["core.bias"][:, None], features, weights["core.input.weight"])
        inputs_t = inputs.view(members, length, envs, -1).unbind(1)  # T times [P, B, 4H]
        hidden, cell = state.chunk(2, -1)
        outputs = []
        for t in range(length):
            # Filled rather than multiplied: 0 times NaN would be NaN.
            hidden, cell = (part.masked_fill(fresh[t, ..., None], 0.0) for part in (hidden, cell))
            gates = affine(inputs_t[t], hidden, weights["core.hidden.weight"])
            taken, kept, candidate, shown = gates.chunk(4, -1)
            cell = torch.sigmoid(kept) * cell + torch.sigmoid(taken) * torch.tanh(candidate)
            hidden = torch.sigmoid(shown) * torch.tanh(cell)
            outputs.append(hidden)
        return torch.stack(outputs, 1).flatten(1, 2), torch.cat([hidden, cell], -1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreEntry:
    """How to make a core from its number of inputs and its size, and whether it has a state."""

    make: Callable[[int, int], Core]
    recurrent: bool


CORES: Mapping[str, CoreEntry] = {
    "none": CoreEntry(make=Feedforward, recurrent=False),
    "lstm": CoreEntry(make=LSTM, recurrent=True),
}


def make_core(name: str, inputs: int, size: int) -> Core:
    """A core for `inputs` features; a recurrent one gives `size` features. Raises ValueError for an unknown name."""
    if name not in CORES:
        raise ValueError(f"unknown core {name!r}: use {' or '.join(CORES)}")
    return CORES[name].make(inputs, size)
