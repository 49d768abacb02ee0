"""A population of Transformers (Vaswani 2017, arXiv 1706.03762), every weight with a leading [P]; pure functions of the weights.

As in the paper: multi-head scaled dot-product attention, feed-forward layers with a ReLU, sinusoidal positions, and one matrix
for the embeddings of both languages and the output, multiplied by the square root of the width where it embeds. There are two
departures, both as in the authors' later code, Tensor2Tensor: normalisation comes before each sub-layer and once at the end
(pre-norm), and attention has no biases. Sentences are padded; padding changes no more than last digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias, final

import torch
from torch import Tensor
from torch.nn import functional as F

from rl_pbt.agents.networks import Weights, dense, product
from rl_pbt.tasks.translation.sub_words import PAD

Drop: TypeAlias = Callable[[str, Tensor], Tensor]
ENCODER, DECODER = "encoder", "decoder"
NEVER = -1e9  # added to the scores of what attention must not see: far below all others, and finite


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The sizes that a network is built from."""

    vocabulary: int
    width: int
    heads: int
    feedforward: int
    layers: int

    @property
    def words(self) -> str:
        """The network in words, for a person."""
        each = "layer" if self.layers == 1 else "layers"
        return (
            f"Transformer of {self.layers} + {self.layers} {each} of {self.width}, {self.heads} heads, "
            f"feed-forward {self.feedforward}, {self.vocabulary} sub-words: {self.weights:,} weights"
        )

    @property
    def weights(self) -> int:
        """How many numbers a member learns."""
        return sum(weight.numel() for weight in first_weights(self, torch.Generator()).values())


def first_weights(shape: Shape, generator: torch.Generator) -> Weights:
    """One member's initial weights, without the population axis: Glorot's uniform, and embeddings of variance 1 / width."""
    width = shape.width
    weights = {"embedding": torch.randn(shape.vocabulary, width, generator=generator) * width**-0.5}
    for stack in (ENCODER, DECODER):
        for layer in range(shape.layers):
            name = f"{stack}.{layer}"
            parts = {"self.qkv": (width, 3 * width), "self.out": (width, width)}
            if stack == DECODER:
                parts |= {"cross.query": (width, width), "cross.kv": (width, 2 * width), "cross.out": (width, width)}
            parts |= {"hidden": (width, shape.feedforward), "output": (shape.feedforward, width)}
            for part, (rows, columns) in parts.items():
                weights[f"{name}.{part}.weight"] = _glorot(rows, columns, generator)
            weights |= {f"{name}.hidden.bias": torch.zeros(shape.feedforward), f"{name}.output.bias": torch.zeros(width)}
            for norm in ("self", "feedforward", *(["cross"] if stack == DECODER else [])):
                weights |= _norm_weights(f"{name}.{norm}_norm", width)
        weights |= _norm_weights(f"{stack}.norm", width)
    return weights


def _glorot(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    limit = math.sqrt(6.0 / (rows + columns))
    return (2.0 * torch.rand(rows, columns, generator=generator) - 1.0) * limit


def _norm_weights(name: str, width: int) -> Weights:
    return {f"{name}.weight": torch.ones(width), f"{name}.bias": torch.zeros(width)}


@lru_cache(maxsize=256)
def positions(length: int, width: int) -> Tensor:
    """Sines and cosines, [length, width] (Vaswani 2017, sec. 3.5), computed in float64."""
    rates = 10_000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angles = torch.arange(length, dtype=torch.float64)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1).to(torch.float32)


def logits(weights: Weights, shape: Shape, sources: Tensor, before: Tensor, drop: Drop) -> Tensor:
    """Logits of each next sub-word [P, B T, vocabulary], from sources [P, B, S] and what came `before` each, [P, B, T]."""
    memory = encoded(weights, shape, sources, drop)
    x = drop("embedding", embedded(weights, before, 0))
    length = before.shape[2]
    ahead = torch.full((length, length), NEVER).triu(1)
    unseen = padding(sources)
    for layer in range(shape.layers):
        name = f"{DECODER}.{layer}"
        query, key, value = queries_keys_values(weights, f"{name}.self", normed(weights, f"{name}.self_norm", x))
        x = x + drop("residual", attention(weights, f"{name}.self", shape.heads, query, key, value, ahead, drop))
        query = linear(weights, f"{name}.cross.query", normed(weights, f"{name}.cross_norm", x))
        key, value = memory[layer]
        x = x + drop("residual", attention(weights, f"{name}.cross", shape.heads, query, key, value, unseen, drop))
        x = x + drop("residual", fed_forward(weights, name, x, drop))
    return output_logits(weights, normed(weights, f"{DECODER}.norm", x).flatten(1, 2))


def encoded(weights: Weights, shape: Shape, sources: Tensor, drop: Drop) -> list[tuple[Tensor, Tensor]]:
    """Keys and values for each decoder layer's attention to the sources [P, B, S], each [P, B, S, width]."""
    x = drop("embedding", embedded(weights, sources, 0))
    unseen = padding(sources)
    for layer in range(shape.layers):
        name = f"{ENCODER}.{layer}"
        query, key, value = queries_keys_values(weights, f"{name}.self", normed(weights, f"{name}.self_norm", x))
        x = x + drop("residual", attention(weights, f"{name}.self", shape.heads, query, key, value, unseen, drop))
        x = x + drop("residual", fed_forward(weights, name, x, drop))
    x = normed(weights, f"{ENCODER}.norm", x)
    looked_at = []
    for layer in range(shape.layers):
        key, value = linear(weights, f"{DECODER}.{layer}.cross.kv", x).chunk(2, -1)
        looked_at.append((key, value))
    return looked_at


def padding(numbers: Tensor) -> Tensor:
    """The mask that attention to these sub-words adds in order not to see padding: [P, B, S] -> [P, B, 1, 1, S]."""
    return (numbers == PAD).to(torch.float32)[:, :, None, None] * NEVER


def embedded(weights: Weights, numbers: Tensor, first: int) -> Tensor:
    """Sub-words [P, B, T], which begin at position `first`, as vectors [P, B, T, width]."""
    table = weights["embedding"]
    members, vocabulary, width = table.shape
    rows = numbers + torch.arange(members)[:, None, None] * vocabulary
    vectors = F.embedding(rows, table.flatten(0, 1)) * math.sqrt(width)
    return vectors + positions(first + numbers.shape[2], width)[first:]


def output_logits(weights: Weights, x: Tensor) -> Tensor:
    """The output projection, by the matrix of the embeddings: [P, N, width] -> [P, N, vocabulary]."""
    return product(x, weights["embedding"].mT)


def linear(weights: Weights, name: str, x: Tensor) -> Tensor:
    """A linear map, without a bias: [P, B, T, in] -> [P, B, T, out]."""
    return product(x.flatten(1, 2), weights[f"{name}.weight"]).view(*x.shape[:3], -1)


def queries_keys_values(weights: Weights, name: str, x: Tensor) -> Sequence[Tensor]:
    """Queries, keys and values of self-attention, each [P, B, T, width]."""
    return linear(weights, f"{name}.qkv", x).chunk(3, -1)


def normed(weights: Weights, name: str, x: Tensor) -> Tensor:
    """Layer normalisation (Ba 2016) over the last axis of [P, B, T, width]."""
    scale, shift = (weights[f"{name}.{part}"][:, None, None] for part in ("weight", "bias"))
    return torch.addcmul(shift, F.layer_norm(x, x.shape[-1:]), scale)


def fed_forward(weights: Weights, name: str, x: Tensor, drop: Drop) -> Tensor:
    """The feed-forward sub-layer: [P, B, T, width] -> [P, B, T, width]."""
    hidden = dense(weights, f"{name}.hidden", normed(weights, f"{name}.feedforward_norm", x).flatten(1, 2)).relu()
    return dense(weights, f"{name}.output", drop("relu", hidden)).view(x.shape)


def attention(
    weights: Weights, name: str, heads: int, query: Tensor, key: Tensor, value: Tensor, mask: Tensor, drop: Drop
) -> Tensor:
    """Scaled dot-product: queries [P, B, T, width] to keys and values [P, B, S, width] -> [P, B, T, width].

    `mask` is added to the scores [P, B, heads, T, S].
    """
    members, batch, length, width = query.shape
    q, k, v = (_by_head(part, heads) for part in (query * math.sqrt(heads / width), key, value))
    scores = torch.bmm(q, k.mT).view(members, batch, heads, length, -1) + mask
    probabilities = drop("attention", scores.softmax(-1))
    seen = torch.bmm(probabilities.flatten(0, 2), v).view(members, batch, heads, length, -1)
    return linear(weights, f"{name}.out", seen.transpose(2, 3).reshape(members, batch, length, width))


def _by_head(part: Tensor, heads: int) -> Tensor:
    """[P, B, T, width] -> [P B heads, T, width / heads]."""
    members, batch, length, _ = part.shape
    return part.view(members, batch, length, heads, -1).transpose(2, 3).reshape(members * batch * heads, length, -1)
