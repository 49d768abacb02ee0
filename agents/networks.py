"""Population-native networks: every weight carries a leading [P], and one agent is P = 1.

A network is a pure function of a flat dictionary of weights. How a layer uses the population axis is its own secret: dense
layers are one batched matrix product; convolutions loop over the members on a CPU, where that is several times faster than a
grouped convolution for 84x84 images.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias, final

import gymnasium
import torch
from torch import Tensor
from torch.nn import functional as F

Weights: TypeAlias = dict[str, Tensor]
HIDDEN_GAIN = math.sqrt(2.0)  # orthogonal gains as in Stable-Baselines3
POLICY_GAIN = 0.01
VALUE_GAIN = 1.0


def orthogonal(shape: Sequence[int], gain: float, generator: torch.Generator) -> Tensor:
    """An orthogonal matrix of [out, in, ...] (Saxe 2014), drawn from `generator` alone."""
    rows, columns = shape[0], math.prod(shape[1:])
    normal = torch.randn(max(rows, columns), min(rows, columns), generator=generator)
    q, r = torch.linalg.qr(normal)
    q = q * torch.sign(torch.diagonal(r))
    matrix: Tensor = q if rows >= columns else q.T
    return matrix.reshape(*shape) * gain


def dense(weights: Weights, name: str, inputs: Tensor) -> Tensor:
    """[P, N, in] -> [P, N, out]."""
    return torch.baddbmm(weights[f"{name}.bias"][:, None], inputs, weights[f"{name}.weight"])


def conv(weights: Weights, name: str, inputs: Tensor, stride: int) -> Tensor:
    """[P, N, C, H, W] -> [P, N, C', H', W']."""
    kernels, biases = weights[f"{name}.weight"], weights[f"{name}.bias"]
    if inputs.device.type == "cpu":
        return torch.stack([F.conv2d(inputs[p], kernels[p], biases[p], stride) for p in range(len(kernels))])
    grouped = inputs.transpose(0, 1).flatten(1, 2)
    outputs = F.conv2d(grouped, kernels.flatten(0, 1), biases.flatten(), stride, groups=len(kernels))
    return outputs.view(len(outputs), len(kernels), -1, *outputs.shape[2:]).transpose(0, 1)


class Torso(Protocol):
    """Observations to features, one set for the policy and one for the value (the same tensor where they share)."""

    features: int

    def initialise(self, generator: torch.Generator) -> Weights:
        """One member's weights, without the population axis."""
        ...

    def __call__(self, weights: Weights, observations: Tensor) -> tuple[Tensor, Tensor]:
        """[P, N, *observation] -> two of [P, N, features]."""
        ...


@final
class DenseTorso:
    """Tanh layers, separate for policy and value: Stable-Baselines3's MlpPolicy."""

    def __init__(self, inputs: int, hidden: Sequence[int]) -> None:
        self._sizes = (inputs, *hidden)
        self.features = self._sizes[-1]

    def initialise(self, generator: torch.Generator) -> Weights:
        weights: Weights = {}
        for trunk in ("policy_torso", "value_torso"):
            for layer, (rows, columns) in enumerate(zip(self._sizes, self._sizes[1:], strict=False)):
                weights |= dense_weights(f"{trunk}.{layer}", rows, columns, HIDDEN_GAIN, generator)
        return weights

    def __call__(self, weights: Weights, observations: Tensor) -> tuple[Tensor, Tensor]:
        flat = observations.flatten(2).to(torch.float32)
        trunks = []
        for trunk in ("policy_torso", "value_torso"):
            hidden = flat
            for layer in range(len(self._sizes) - 1):
                hidden = torch.tanh(dense(weights, f"{trunk}.{layer}", hidden))
            trunks.append(hidden)
        return trunks[0], trunks[1]


@final
class ConvTorso:
    """Convolutions and a dense layer with ReLU over uint8 images [C, H, W], shared by policy and value.

    `layers` are (channels, kernel, stride). Under `autocast` it computes in bfloat16; its weights stay float32.
    """

    def __init__(self, image: tuple[int, ...], layers: Sequence[tuple[int, int, int]], features: int, autocast: bool) -> None:
        self._layers = layers
        self._channels = (image[0], *(channels for channels, _, _ in layers))
        height, width = image[1:]
        for _, kernel, stride in layers:
            height, width = (height - kernel) // stride + 1, (width - kernel) // stride + 1
        if min(height, width) < 1:
            raise UnsupportedSpace(f"images of {image} are too small for this torso: use a dense one")
        self._flat = self._channels[-1] * height * width
        self._autocast = autocast
        self.features = features

    def initialise(self, generator: torch.Generator) -> Weights:
        weights: Weights = {}
        for layer, (channels, kernel, _) in enumerate(self._layers):
            shape = (channels, self._channels[layer], kernel, kernel)
            weights[f"torso.{layer}.weight"] = orthogonal(shape, HIDDEN_GAIN, generator)
            weights[f"torso.{layer}.bias"] = torch.zeros(channels)
        return weights | dense_weights("torso.dense", self._flat, self.features, HIDDEN_GAIN, generator)

    def __call__(self, weights: Weights, observations: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(observations.device.type, torch.bfloat16, enabled=self._autocast):
            hidden = observations.to(torch.bfloat16 if self._autocast else torch.float32)
            # Scaling the first kernel to pixels of 0..255 is the same as scaling the images, and far less work.
            scaled = weights | {"torso.0.weight": weights["torso.0.weight"] / 255.0}
            for layer, (_, _, stride) in enumerate(self._layers):
                hidden = torch.relu(conv(scaled, f"torso.{layer}", hidden, stride))
            features = torch.relu(dense(weights, "torso.dense", hidden.flatten(2)))
        features = features.to(torch.float32)
        return features, features


def dense_weights(name: str, rows: int, columns: int, gain: float, generator: torch.Generator) -> Weights:
    """Weight [in, out] and zero bias [out] of one member."""
    return {
        f"{name}.weight": orthogonal((columns, rows), gain, generator).T.contiguous(),
        f"{name}.bias": torch.zeros(columns),
    }


class UnsupportedSpace(ValueError):
    """A space that no torso or head can handle; one line that names it."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))  # gymnasium prints the bounds of a Box over many lines


# Mnih 2016 (A3C) and Mnih 2015 (Nature DQN).
CONV_LAYERS = {
    "shallow": (((16, 8, 4), (32, 4, 2)), 256),
    "nature": (((32, 8, 4), (64, 4, 2), (64, 3, 1)), 512),
}


def make_torso(name: str, space: gymnasium.Space[Any], hidden: Sequence[int], autocast: bool) -> Torso:
    """Raises UnsupportedSpace for observations that are not vectors or uint8 images, and for unknown names."""
    if not isinstance(space, gymnasium.spaces.Box) or not space.shape:
        raise UnsupportedSpace(f"observations of {space} are not supported: wrap the environment so that it gives a Box")
    image = len(space.shape) == 3 and space.dtype == "uint8"
    if name == "auto":
        name = "shallow" if image else "dense"
    if name == "dense":
        return DenseTorso(math.prod(space.shape), hidden)
    if name not in CONV_LAYERS:
        raise UnsupportedSpace(f"unknown torso {name!r}: use auto, dense, {', '.join(CONV_LAYERS)}")
    if not image:
        raise UnsupportedSpace(f"torso {name!r} needs uint8 images [C, H, W], not {space}: use a dense one")
    layers, features = CONV_LAYERS[name]
    return ConvTorso(space.shape, layers, features, autocast)
