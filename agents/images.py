"""Images to features: convolutional parts of a network.

References: Mnih 2016, "Asynchronous Methods for Deep Reinforcement Learning"; Mnih 2015, "Human-level control through deep
reinforcement learning"; Espeholt 2018, "IMPALA"; Young & Tian 2019, "MinAtar".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias, final

import gymnasium
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from rl_pbt.agents.networks import HIDDEN_GAIN, UnsupportedSpace, Weights, conv, dense, dense_weights, orthogonal


def is_bytes(space: gymnasium.spaces.Box) -> bool:
    """Whether a space holds bytes or booleans, as images usually do."""
    return space.dtype in ("uint8", "bool")


def white_of(space: gymnasium.spaces.Box) -> float:
    """What a space's numbers are divided by: the largest absolute bound, at least 1 for bytes and booleans, and never 0."""
    largest = float(max(np.max(np.abs(space.high.astype(np.float64))), np.max(np.abs(space.low.astype(np.float64)))))
    return max(1.0, largest) if is_bytes(space) else largest or 1.0


def _channels_last(first: int, middle: int, last: int) -> bool:
    if first == middle != last:
        return True
    if middle == last != first:
        return False
    return not first < last


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFormat:
    """The layout of a space's images in memory, and the value that is white in them."""

    channels: int
    height: int
    width: int
    channels_last: bool
    white: float

    @classmethod
    def of(cls, space: gymnasium.spaces.Box) -> ImageFormat | None:
        """The format of a Box with two spatial axes and one for channels, first or last; None if it does not hold images.

        Bytes and booleans may be [H, W]; other numbers must have bounds. If two axes are equal, the third one is the channels:
        [7, 7, 20] has them last. If all differ, channels are last unless the first axis is smaller than the last: [4, 84, 80] has
        them first, [210, 160, 3] last. A stack of images, [K, *image], counts as one image with K times the channels.
        """
        axes = len(space.shape)
        if not (is_bytes(space) and axes in (2, 3, 4)) and not (axes in (3, 4) and space.is_bounded()):
            return None
        shape = (1, *space.shape) if axes == 2 else space.shape[-3:]
        channels_last = axes > 2 and _channels_last(*shape)
        height, width, channels = shape if channels_last else (*shape[1:], shape[0])
        stacked = space.shape[0] if axes == 4 else 1
        return cls(channels=stacked * channels, height=height, width=width, channels_last=channels_last, white=white_of(space))

    @property
    def words(self) -> str:
        """The size in words: "images of 84x84 and 4 channels"."""
        return f"images of {self.height}x{self.width} and {self.channels} channel{'' if self.channels == 1 else 's'}"

    def channels_first(self, observations: Tensor) -> Tensor:
        """[P, N, *observation] -> [P, N, C, H, W], a view unless images are stacked."""
        if observations.dim() == 4:
            return observations.unsqueeze(2)
        first = observations.movedim(-1, -3) if self.channels_last else observations
        return first.flatten(2, 3) if observations.dim() == 6 else first


def _prepared(name: str, image: ImageFormat, weights: Weights, autocast: bool) -> Weights:
    """All weights, with those of the torso `name` in bfloat16 under `autocast`.

    The first kernel is divided by `white`. The effect is that of scaling the images to 0 to 1, for far less work.
    """
    own = {key: weight for key, weight in weights.items() if key.startswith(f"{name}.")}
    own[f"{name}.0.weight"] = own[f"{name}.0.weight"] / image.white
    return weights | {key: weight.to(torch.bfloat16 if autocast else torch.float32) for key, weight in own.items()}


def _conv_weights(name: str, shape: tuple[int, int, int, int], gain: float, generator: torch.Generator) -> Weights:
    """Kernels [out, in, height, width] and zero bias [out] of one member."""
    return {f"{name}.weight": orthogonal(shape, gain, generator), f"{name}.bias": torch.zeros(shape[0])}


@final
class ConvTorso:
    """Convolutions and a dense layer, all with ReLU, over images; shared by policy and value.

    `layers` are (channels, kernel, stride). Under `autocast` it computes in bfloat16; its weights stay float32.
    """

    def __init__(
        self, image: ImageFormat, autocast: bool, name: str, *, layers: Sequence[tuple[int, int, int]], features: int
    ) -> None:
        self._name = name
        self._image = image
        self._layers = layers
        self._channels = (image.channels, *(channels for channels, _, _ in layers))
        height, width = image.height, image.width
        for _, kernel, stride in layers:
            height, width = (height - kernel) // stride + 1, (width - kernel) // stride + 1
        if min(height, width) < 1:
            shape = (image.channels, image.height, image.width)
            raise UnsupportedSpace(f"images of {shape} are too small for this torso: use the small or the dense one")
        self._flat = self._channels[-1] * height * width
        self._autocast = autocast
        self.features = features

    @property
    def words(self) -> str:
        layers = f"{len(self._layers)} convolution{'' if len(self._layers) == 1 else 's'}"
        return f"{layers} over {self._image.words}, {self.features} features"

    def initialise(self, generator: torch.Generator) -> Weights:
        weights: Weights = {}
        for layer, (channels, kernel, _) in enumerate(self._layers):
            shape = (channels, self._channels[layer], kernel, kernel)
            weights |= _conv_weights(f"{self._name}.{layer}", shape, HIDDEN_GAIN, generator)
        return weights | dense_weights(f"{self._name}.dense", self._flat, self.features, HIDDEN_GAIN, generator)

    def prepared(self, weights: Weights) -> Weights:
        return _prepared(self._name, self._image, weights, self._autocast)

    def __call__(self, weights: Weights, observations: Tensor) -> tuple[Tensor, Tensor]:
        features = self.for_policy(weights, observations)
        return features, features

    def for_policy(self, weights: Weights, observations: Tensor) -> Tensor:
        hidden = self._image.channels_first(observations).to(weights[f"{self._name}.0.weight"].dtype)
        for layer, (_, _, stride) in enumerate(self._layers):
            hidden = torch.relu(conv(weights, f"{self._name}.{layer}", hidden, stride))
        return torch.relu(dense(weights, f"{self._name}.dense", hidden.flatten(2))).to(torch.float32)


@final
class ResidualTorso:
    """The deep torso of Espeholt 2018, Fig. 3: sections of a convolution, a max-pooling that halves, and two residual blocks.

    Under `autocast` it computes in bfloat16; its weights stay float32.
    """

    SECTIONS = (16, 32, 32)  # channels
    BLOCKS = 2  # per section
    # Residual branches add up: with the gain of plain ReLU layers each block would double the variance. 1 is the scale at which
    # Espeholt's convolutions start, a standard deviation of 1 / sqrt(inputs).
    GAIN = 1.0

    def __init__(self, image: ImageFormat, autocast: bool, name: str) -> None:
        self._name = name
        self._image = image
        height, width = image.height, image.width
        for _ in self.SECTIONS:
            height, width = (height + 1) // 2, (width + 1) // 2
        self._flat = self.SECTIONS[-1] * height * width
        self._autocast = autocast
        self.features = 256

    @property
    def words(self) -> str:
        layers = len(self.SECTIONS) * (1 + 2 * self.BLOCKS)
        return f"{layers} convolutions, residual, over {self._image.words}, {self.features} features"

    def initialise(self, generator: torch.Generator) -> Weights:
        weights: Weights = {}
        previous = self._image.channels
        for section, channels in enumerate(self.SECTIONS):
            weights |= _conv_weights(f"{self._name}.{section}", (channels, previous, 3, 3), self.GAIN, generator)
            for name in (name for block in self._blocks(section) for name in block):
                weights |= _conv_weights(name, (channels, channels, 3, 3), self.GAIN, generator)
            previous = channels
        return weights | dense_weights(f"{self._name}.dense", self._flat, self.features, HIDDEN_GAIN, generator)

    def prepared(self, weights: Weights) -> Weights:
        return _prepared(self._name, self._image, weights, self._autocast)

    def _blocks(self, section: int) -> list[tuple[str, str]]:
        """The names of the two convolutions of each residual block."""
        return [(f"{self._name}.{section}.{block}.0", f"{self._name}.{section}.{block}.1") for block in range(self.BLOCKS)]

    def __call__(self, weights: Weights, observations: Tensor) -> tuple[Tensor, Tensor]:
        features = self.for_policy(weights, observations)
        return features, features

    def for_policy(self, weights: Weights, observations: Tensor) -> Tensor:
        hidden = self._image.channels_first(observations).to(weights[f"{self._name}.0.weight"].dtype)
        for section in range(len(self.SECTIONS)):
            hidden = _halved(conv(weights, f"{self._name}.{section}", hidden, 1, padding=1))
            for first, second in self._blocks(section):
                branch = conv(weights, first, torch.relu(hidden), 1, padding=1)
                hidden = hidden + conv(weights, second, torch.relu(branch), 1, padding=1)
        return torch.relu(dense(weights, f"{self._name}.dense", torch.relu(hidden).flatten(2))).to(torch.float32)


def _halved(images: Tensor) -> Tensor:
    """3x3 max-pooling with stride 2; [P, N, C, H, W] -> [P, N, C, ceil(H / 2), ceil(W / 2)]."""
    pooled = F.max_pool2d(images.flatten(0, 1), kernel_size=3, stride=2, padding=1)
    return pooled.view(*images.shape[:2], *pooled.shape[1:])


ImageTorso: TypeAlias = ConvTorso | ResidualTorso
# Each is made from the format of the images, whether to compute in bfloat16, and the prefix of its weights' names.
IMAGE_TORSOS: Mapping[str, Callable[[ImageFormat, bool, str], ImageTorso]] = {
    "shallow": partial(ConvTorso, layers=((16, 8, 4), (32, 4, 2)), features=256),  # Mnih 2016 (A3C)
    "nature": partial(ConvTorso, layers=((32, 8, 4), (64, 4, 2), (64, 3, 1)), features=512),  # Mnih 2015 (Nature DQN)
    "small": partial(ConvTorso, layers=((16, 3, 1),), features=128),  # the DQN of Young & Tian 2019, for games of 10x10
    "deep": ResidualTorso,
}
