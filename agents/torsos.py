"""Observations to features: the part of a network that depends on the observation space.

References: Mnih 2016, "Asynchronous Methods for Deep Reinforcement Learning"; Mnih 2015, "Human-level control through deep
reinforcement learning"; Espeholt 2018, "IMPALA"; Young & Tian 2019, "MinAtar".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, final

import gymnasium
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from rl_pbt.agents.aliases import Space
from rl_pbt.agents.networks import HIDDEN_GAIN, UnsupportedSpace, Weights, conv, dense, dense_weights, orthogonal


class Torso(Protocol):
    """Observations to features, one set for the policy and one for the value (the same tensor where they share).

    Weights are `prepared` before they are used, once for the many steps that a policy acts with them.
    """

    features: int

    @property
    def words(self) -> str:
        """What it reads, and with what, for people."""
        ...

    def initialise(self, generator: torch.Generator) -> Weights:
        """One member's weights, without the population axis."""
        ...

    def prepared(self, weights: Weights) -> Weights:
        """Its own weights in the form in which it computes, and the others as they are; gradients flow through."""
        ...

    def __call__(self, weights: Weights, observations: Tensor) -> tuple[Tensor, Tensor]:
        """[P, N, *observation] -> two of [P, N, features]."""
        ...

    def for_policy(self, weights: Weights, observations: Tensor) -> Tensor:
        """The first of the two alone, which is all that acting needs."""
        ...


@final
class DenseTorso:
    """Tanh layers, separate for policy and value as in Stable-Baselines3's MlpPolicy, or one trunk where they are `shared`.

    Inputs are divided by `white`.
    """

    def __init__(self, inputs: int, hidden: Sequence[int], shared: bool, white: float = 1.0) -> None:
        self._sizes = (inputs, *hidden)
        self._white = white
        self._trunks = ("torso",) if shared else ("policy_torso", "value_torso")
        self.features = self._sizes[-1]

    @property
    def words(self) -> str:
        scale = "" if self._white == 1.0 else f", divided by {self._white:g}"
        return f"dense layers of {', '.join(map(str, self._sizes[1:]))} units over a vector of {self._sizes[0]}{scale}"

    def initialise(self, generator: torch.Generator) -> Weights:
        weights: Weights = {}
        for trunk in self._trunks:
            for layer, (rows, columns) in enumerate(zip(self._sizes, self._sizes[1:], strict=False)):
                weights |= dense_weights(f"{trunk}.{layer}", rows, columns, HIDDEN_GAIN, generator)
        return weights

    def prepared(self, weights: Weights) -> Weights:
        return weights

    def __call__(self, weights: Weights, observations: Tensor) -> tuple[Tensor, Tensor]:
        features = [self._trunk(trunk, weights, observations) for trunk in self._trunks]
        return features[0], features[-1]

    def for_policy(self, weights: Weights, observations: Tensor) -> Tensor:
        return self._trunk(self._trunks[0], weights, observations)

    def _trunk(self, trunk: str, weights: Weights, observations: Tensor) -> Tensor:
        hidden = observations.flatten(2).to(torch.float32)
        if self._white != 1.0:
            hidden = hidden / self._white
        for layer in range(len(self._sizes) - 1):
            hidden = torch.tanh(dense(weights, f"{trunk}.{layer}", hidden))
        return hidden


def _is_bytes(space: gymnasium.spaces.Box) -> bool:
    """Or booleans: what a picture is usually made of."""
    return space.dtype in ("uint8", "bool")


def _white(space: gymnasium.spaces.Box) -> float:
    """The largest number that is seen, of a space with bounds; bytes that are 0 and 1 at most are as they are."""
    largest = float(max(np.max(np.abs(space.high.astype(np.float64))), np.max(np.abs(space.low.astype(np.float64)))))
    return max(1.0, largest) if _is_bytes(space) else largest or 1.0


def _channels_last(first: int, middle: int, last: int) -> bool:
    if first == middle != last:
        return True
    if middle == last != first:
        return False
    return not first < last


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFormat:
    """How images of a space lie in memory, and the value that is white in them."""

    channels: int
    height: int
    width: int
    channels_last: bool
    white: float

    @classmethod
    def of(cls, space: gymnasium.spaces.Box) -> ImageFormat | None:
        """The format of a Box with two axes of space and one of channels, first or last; None where it holds no images.

        Bytes and booleans may be [H, W], other numbers must have bounds. The axis that differs from two equal ones has the
        channels: [7, 7, 20] has them last. Where all differ, they are last unless the first axis is strictly the smaller:
        [4, 84, 80] has them first, [210, 160, 3] last.
        """
        if not (_is_bytes(space) and len(space.shape) in (2, 3)) and not (len(space.shape) == 3 and space.is_bounded()):
            return None
        shape = (1, *space.shape) if len(space.shape) == 2 else space.shape
        channels_last = len(space.shape) == 3 and _channels_last(*shape)
        height, width, channels = shape if channels_last else (*shape[1:], shape[0])
        return cls(channels=channels, height=height, width=width, channels_last=channels_last, white=_white(space))

    @property
    def words(self) -> str:
        """Its size, for people: 84x84 of 4 channels."""
        return f"images of {self.height}x{self.width} and {self.channels} channel{'' if self.channels == 1 else 's'}"

    def channels_first(self, observations: Tensor) -> Tensor:
        """[P, N, *observation] -> [P, N, C, H, W], a view."""
        if observations.dim() == 4:
            return observations.unsqueeze(2)
        return observations.movedim(-1, 2) if self.channels_last else observations


def _prepared(image: ImageFormat, weights: Weights, autocast: bool) -> Weights:
    """In bfloat16 where `autocast` asks for it; the first kernel takes values up to `white`, as if the images were of 0 to 1.

    Scaling the kernel is the same as scaling the images, and far less work.
    """
    own = {name: weight for name, weight in weights.items() if name.startswith("torso.")}
    own["torso.0.weight"] = own["torso.0.weight"] / image.white
    return weights | {name: weight.to(torch.bfloat16 if autocast else torch.float32) for name, weight in own.items()}


def _conv_weights(name: str, shape: tuple[int, int, int, int], gain: float, generator: torch.Generator) -> Weights:
    """Kernels [out, in, height, width] and zero bias [out] of one member."""
    return {f"{name}.weight": orthogonal(shape, gain, generator), f"{name}.bias": torch.zeros(shape[0])}


@final
class ConvTorso:
    """Convolutions and a dense layer with ReLU over images, shared by policy and value.

    `layers` are (channels, kernel, stride). Under `autocast` it computes in bfloat16; its weights stay float32.
    """

    def __init__(self, image: ImageFormat, autocast: bool, *, layers: Sequence[tuple[int, int, int]], features: int) -> None:
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
            weights |= _conv_weights(f"torso.{layer}", shape, HIDDEN_GAIN, generator)
        return weights | dense_weights("torso.dense", self._flat, self.features, HIDDEN_GAIN, generator)

    def prepared(self, weights: Weights) -> Weights:
        return _prepared(self._image, weights, self._autocast)

    def __call__(self, weights: Weights, observations: Tensor) -> tuple[Tensor, Tensor]:
        features = self.for_policy(weights, observations)
        return features, features

    def for_policy(self, weights: Weights, observations: Tensor) -> Tensor:
        hidden = self._image.channels_first(observations).to(weights["torso.0.weight"].dtype)
        for layer, (_, _, stride) in enumerate(self._layers):
            hidden = torch.relu(conv(weights, f"torso.{layer}", hidden, stride))
        return torch.relu(dense(weights, "torso.dense", hidden.flatten(2))).to(torch.float32)


@final
class ResidualTorso:
    """The deep torso of Espeholt 2018, Fig. 3: sections of a convolution, a pooling that halves, and two residual blocks.

    Under `autocast` it computes in bfloat16; its weights stay float32.
    """

    SECTIONS = (16, 32, 32)  # channels
    BLOCKS = 2  # a section
    # Branches add up: with the gain of plain ReLU layers each block would double the variance. 1 is the scale that Espeholt's
    # convolutions start with, a standard deviation of 1 / sqrt(inputs).
    GAIN = 1.0

    def __init__(self, image: ImageFormat, autocast: bool) -> None:
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
            weights |= _conv_weights(f"torso.{section}", (channels, previous, 3, 3), self.GAIN, generator)
            for name in (name for block in self._blocks(section) for name in block):
                weights |= _conv_weights(name, (channels, channels, 3, 3), self.GAIN, generator)
            previous = channels
        return weights | dense_weights("torso.dense", self._flat, self.features, HIDDEN_GAIN, generator)

    def prepared(self, weights: Weights) -> Weights:
        return _prepared(self._image, weights, self._autocast)

    def _blocks(self, section: int) -> list[tuple[str, str]]:
        """The names of the two convolutions of each residual block."""
        return [(f"torso.{section}.{block}.0", f"torso.{section}.{block}.1") for block in range(self.BLOCKS)]

    def __call__(self, weights: Weights, observations: Tensor) -> tuple[Tensor, Tensor]:
        features = self.for_policy(weights, observations)
        return features, features

    def for_policy(self, weights: Weights, observations: Tensor) -> Tensor:
        hidden = self._image.channels_first(observations).to(weights["torso.0.weight"].dtype)
        for section in range(len(self.SECTIONS)):
            hidden = _halved(conv(weights, f"torso.{section}", hidden, 1, padding=1))
            for first, second in self._blocks(section):
                branch = conv(weights, first, torch.relu(hidden), 1, padding=1)
                hidden = hidden + conv(weights, second, torch.relu(branch), 1, padding=1)
        return torch.relu(dense(weights, "torso.dense", torch.relu(hidden).flatten(2))).to(torch.float32)


def _halved(images: Tensor) -> Tensor:
    """Maximum over 3x3, every second one; [P, N, C, H, W] -> [P, N, C, ceil(H / 2), ceil(W / 2)]."""
    pooled = F.max_pool2d(images.flatten(0, 1), kernel_size=3, stride=2, padding=1)
    return pooled.view(*images.shape[:2], *pooled.shape[1:])


# Made of the format of the images and whether to compute in bfloat16.
IMAGE_TORSOS: Mapping[str, Callable[[ImageFormat, bool], Torso]] = {
    "shallow": partial(ConvTorso, layers=((16, 8, 4), (32, 4, 2)), features=256),  # Mnih 2016 (A3C)
    "nature": partial(ConvTorso, layers=((32, 8, 4), (64, 4, 2), (64, 3, 1)), features=512),  # Mnih 2015 (Nature DQN)
    "small": partial(ConvTorso, layers=((16, 3, 1),), features=128),  # the DQN of Young & Tian 2019, for games of 10x10
    "deep": ResidualTorso,
}
SMALL_BELOW = 36  # pixels; the smallest image for which "nature" exists


def make_torso(
    name: str, space: Space, *, hidden: Sequence[int], shared: bool, autocast: bool, normalised: bool = False
) -> Torso:
    """`hidden` and `shared` are the dense torso's; what is `normalised` before is not scaled by what is white.

    "auto" takes a convolutional torso for images and a dense one for all else. Raises UnsupportedSpace for a space without
    numbers, for images of bytes that are to be normalised, and for an unknown name.
    """
    if not isinstance(space, gymnasium.spaces.Box) or not space.shape or 0 in space.shape:
        raise UnsupportedSpace(f"observations of {space} are not supported: {_workaround(space)}")
    if name not in ("auto", "dense", *IMAGE_TORSOS):
        *others, last = IMAGE_TORSOS
        raise UnsupportedSpace(f"unknown torso {name!r}: use auto, dense, {', '.join(others)} or {last}")
    image = ImageFormat.of(space)
    if name == "auto":
        name = _default_name(space, image)
    if name == "dense":
        return DenseTorso(math.prod(space.shape), hidden, shared, _white(space) if _is_bytes(space) and not normalised else 1.0)
    if image is None:
        raise UnsupportedSpace(f"torso {name!r} needs images, of numbers with bounds, not {space}: use a dense one")
    if normalised and _is_bytes(space):
        raise UnsupportedSpace(f"images of {space} are scaled already: use the agent option normalise_observations=false")
    return IMAGE_TORSOS[name](replace(image, white=1.0) if normalised else image, autocast)


def _default_name(space: gymnasium.spaces.Box, image: ImageFormat | None) -> str:
    """What "auto" stands for."""
    if image is not None and min(image.height, image.width) >= 3:
        return "small" if min(image.height, image.width) < SMALL_BELOW else "shallow"
    if image is None and len(space.shape) > 1 and space.dtype in ("uint8", "bool"):
        # Such as stacked colour images: a dense torso would be slow and would learn little.
        raise UnsupportedSpace(f"observations of {space} are neither vectors nor images: {_workaround(space)}")
    return "dense"


def _workaround(space: Space) -> str:
    """The wrapper that would make a vector of a space's elements."""
    if isinstance(space, gymnasium.spaces.Dict):
        awkward = [name for name, entry in space.spaces.items() if not _flattens(entry)]
        if awkward:
            entries = f"{'entry' if len(awkward) == 1 else 'entries'} {', '.join(map(repr, awkward))}"
            return f"drop the {entries} with gymnasium.wrappers.FilterObservation, then use gymnasium.wrappers.FlattenObservation"
    if _flattens(space):
        return "wrap the environment in gymnasium.wrappers.FlattenObservation"
    return "wrap the environment in gymnasium.wrappers.TransformObservation so that it gives a Box"


def _flattens(space: Space) -> bool:
    """Whether FlattenObservation makes a vector of it that is worth learning from: the letters of a text are not."""
    if isinstance(space, gymnasium.spaces.Text):
        return False
    try:
        return bool(space.is_np_flattenable)
    except NotImplementedError:  # a space of someone's own, as MiniGrid's mission
        return False
