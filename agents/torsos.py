"""Observations to features: the part of a network that depends on the observation space."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, final

import gymnasium
import torch
from gymnasium.spaces.utils import flatdim
from torch import Tensor

from rl_pbt.agents.aliases import Space
from rl_pbt.agents.images import IMAGE_TORSOS, ImageFormat, is_bytes, white_of
from rl_pbt.agents.networks import HIDDEN_GAIN, UnsupportedSpace, Weights, dense_weights, tanh_dense

SMALL_BELOW = 36  # pixels; the smallest image for which "nature" exists
LEAST_SIDE = 3  # pixels; what is smaller on a side is not treated as an image


class Torso(Protocol):
    """Observations to features, one set for the policy and one for the value (the same tensor where they share).

    Weights are `prepared` before use, once for all the steps in which a policy acts with them.
    """

    features: int

    @property
    def words(self) -> str:
        """The layers and what they read, in words."""
        ...

    def initialise(self, generator: torch.Generator) -> Weights:
        """One member's weights, without the population axis."""
        ...

    def prepared(self, weights: Weights) -> Weights:
        """All weights, with the torso's own in the form in which it computes; gradients flow through."""
        ...

    def __call__(self, weights: Weights, observations: Tensor) -> tuple[Tensor, Tensor]:
        """[P, N, *observation] -> two of [P, N, features]."""
        ...

    def for_policy(self, weights: Weights, observations: Tensor) -> Tensor:
        """The policy's features alone, which are all that acting needs."""
        ...


@final
class DenseTorso:
    """Tanh layers, separate for policy and value as in Stable-Baselines3's MlpPolicy, or in one trunk if `shared`.

    Inputs are divided by `whites`: one number for all, or one for each.
    """

    def __init__(
        self, inputs: int, hidden: Sequence[int], shared: bool, whites: Sequence[float] = (1.0,), name: str = "torso"
    ) -> None:
        self._sizes = (inputs, *hidden)
        self._whites = whites[:1] if len(set(whites)) == 1 else tuple(whites)
        self._trunks = (name,) if shared else (f"policy_{name}", f"value_{name}")
        self.features = self._sizes[-1]

    @property
    def words(self) -> str:
        largest = max(self._whites)
        scale = "" if largest == 1.0 else f", {'divided' if len(self._whites) == 1 else 'pixels divided'} by {largest:g}"
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
        if self._whites != (1.0,):
            hidden = hidden / torch.tensor(self._whites, device=hidden.device)
        for layer in range(len(self._sizes) - 1):
            hidden = tanh_dense(weights, f"{trunk}.{layer}", hidden)
        return hidden


@final
@dataclass(frozen=True, slots=True)
class Entry:
    """One of the spaces that were flattened into a vector: its numbers are at `place`."""

    space: Space
    place: slice

    @property
    def image(self) -> ImageFormat | None:
        """The format of its images, or None if it holds none."""
        return _seen_as_image(self.space) if isinstance(self.space, gymnasium.spaces.Box) else None


def entries_of(space: Space) -> list[Entry]:
    """The parts of a vector whose space has the Dict or Tuple that was flattened as its `original`; empty for other spaces."""
    original = getattr(space, "original", None)
    return [] if original is None else list(_entries(original, 0))


def _entries(space: Space, start: int) -> Iterator[Entry]:
    """The parts of a space in the order in which Gymnasium flattens them."""
    if not isinstance(space, gymnasium.spaces.Dict | gymnasium.spaces.Tuple):
        yield Entry(space, slice(start, start + flatdim(space)))
        return
    for inner in space.spaces.values() if isinstance(space, gymnasium.spaces.Dict) else space.spaces:
        yield from _entries(inner, start)
        start += flatdim(inner)


@final
class CombinedTorso:
    """For vectors of images and other numbers: a torso for each image, and a dense one for all other numbers.

    Their features are concatenated, and shared by policy and value.
    """

    def __init__(self, images: Sequence[tuple[Entry, Torso]], others: Sequence[slice], rest: DenseTorso | None) -> None:
        self._images = images
        self._others = others
        self._rest = rest
        self._torsos: list[Torso] = [*(torso for _, torso in images), *([rest] if rest else [])]
        self.features = sum(torso.features for torso in self._torsos)

    @property
    def words(self) -> str:
        return "; ".join(torso.words for torso in self._torsos)

    def initialise(self, generator: torch.Generator) -> Weights:
        return {name: weight for torso in self._torsos for name, weight in torso.initialise(generator).items()}

    def prepared(self, weights: Weights) -> Weights:
        for torso in self._torsos:
            weights = torso.prepared(weights)
        return weights

    def __call__(self, weights: Weights, observations: Tensor) -> tuple[Tensor, Tensor]:
        features = self.for_policy(weights, observations)
        return features, features

    def for_policy(self, weights: Weights, observations: Tensor) -> Tensor:
        features = [
            torso.for_policy(weights, observations[..., entry.place].reshape(*observations.shape[:2], *(entry.space.shape or ())))
            for entry, torso in self._images
        ]
        if self._rest:
            vector = torch.cat([observations[..., place] for place in self._others], -1)
            features.append(self._rest.for_policy(weights, vector))
        return torch.cat(features, -1)


def make_torso(
    name: str, space: Space, *, hidden: Sequence[int], shared: bool, autocast: bool, normalised: bool = False
) -> Torso:
    """`hidden` and `shared` are for a dense torso; observations that arrive `normalised` are not divided by the value of white.

    "auto" takes a convolutional torso for images, also for those in a vector with other numbers, and a dense one for all else.
    Raises UnsupportedSpace for an unknown name, a space that is not a Box, images that are too small or missing for a torso that
    needs them, and images of bytes that are to be normalised.
    """
    if not isinstance(space, gymnasium.spaces.Box) or not space.shape or 0 in space.shape:
        raise UnsupportedSpace(f"observations of {space} are not supported: {_workaround(space)}")
    if name not in ("auto", "dense", *IMAGE_TORSOS):
        *others, last = IMAGE_TORSOS
        raise UnsupportedSpace(f"unknown torso {name!r}: use auto, dense, {', '.join(others)} or {last}")
    entries = entries_of(space)
    if name != "dense" and any(entry.image for entry in entries):
        return _combined(name, entries, hidden, autocast, normalised)
    image = ImageFormat.of(space)
    if name == "auto":
        name = _default_name(space, image)
    if name == "dense":
        return DenseTorso(math.prod(space.shape), hidden, shared, (1.0,) if normalised else _whites(space, entries))
    if image is None:
        raise UnsupportedSpace(f"torso {name!r} needs images, of numbers with bounds, not {space}: use a dense one")
    if normalised and is_bytes(space):
        raise UnsupportedSpace(f"images of {space} are scaled already: use the agent option normalise_observations=false")
    return IMAGE_TORSOS[name](replace(image, white=1.0) if normalised else image, autocast, "torso")


def _combined(name: str, entries: Sequence[Entry], hidden: Sequence[int], autocast: bool, normalised: bool) -> Torso:
    images: list[tuple[Entry, Torso]] = []
    others = [entry for entry in entries if not entry.image]
    for entry in entries:
        image = entry.image
        if image:
            kind = _size(image) if name == "auto" else name
            seen = replace(image, white=1.0) if normalised else image
            images.append((entry, IMAGE_TORSOS[kind](seen, autocast, f"torso.image{len(images)}")))
    inputs = sum(flatdim(entry.space) for entry in others)
    whites = [white for entry in others for white in _entry_whites(entry, normalised)]
    rest = DenseTorso(inputs, hidden, True, whites, "torso.rest") if others else None
    return CombinedTorso(images, [entry.place for entry in others], rest)


def _whites(space: gymnasium.spaces.Box, entries: Sequence[Entry]) -> Sequence[float]:
    """What the inputs of a dense torso are divided by."""
    if entries:
        return [white for entry in entries for white in _entry_whites(entry, False)]
    return (white_of(space) if is_bytes(space) else 1.0,)


def _entry_whites(entry: Entry, normalised: bool) -> list[float]:
    scaled = not normalised and isinstance(entry.space, gymnasium.spaces.Box) and is_bytes(entry.space)
    white = white_of(entry.space) if scaled and isinstance(entry.space, gymnasium.spaces.Box) else 1.0
    return [white] * flatdim(entry.space)


def _seen_as_image(space: gymnasium.spaces.Box) -> ImageFormat | None:
    """The format of its images if "auto" would choose a convolutional torso for them, or None."""
    image = ImageFormat.of(space)
    return image if image is not None and min(image.height, image.width) >= LEAST_SIDE else None


def _size(image: ImageFormat) -> str:
    """The convolutional torso that "auto" stands for."""
    return "small" if min(image.height, image.width) < SMALL_BELOW else "shallow"


def _default_name(space: gymnasium.spaces.Box, image: ImageFormat | None) -> str:
    """What "auto" stands for."""
    seen = _seen_as_image(space)
    if seen is not None:
        return _size(seen)
    if image is None and len(space.shape) > 1 and space.dtype in ("uint8", "bool"):
        # It has five axes or more: a dense torso would be slow and would learn little.
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
    """Whether FlattenObservation makes a vector of it that is worth learning from; the letters of a text are not."""
    if isinstance(space, gymnasium.spaces.Text):
        return False
    try:
        return bool(space.is_np_flattenable)
    except NotImplementedError:  # a custom space, such as MiniGrid's mission
        return False
