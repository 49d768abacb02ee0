"""The classifier that judges generated images: two convolutions and a dense layer, whose outputs are its features.

It is trained on the same part of the images as the GANs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
from torch import Tensor
from torch.nn import functional as F

from rl_pbt.tasks.gan.images import Images, Part
from rl_pbt.tasks.gan.networks import as_input
from rl_pbt.tasks.gan.recorded import read_recorded_classifier, shapes_of

PASSES = 150  # over the training images
BATCH = 50
RATE, WEIGHT_DECAY = 3e-3, 1e-4  # of AdamW; the rate is annealed to 0 along a cosine
DROPOUT = 0.3  # of the features
SHIFT, TURN, GROW = 0.12, 0.2, 0.1  # augmentation: at most so much of half a side, in radians, and of the size


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Classifier:
    """A classifier as its weights by name."""

    weights: Mapping[str, Tensor]

    def features(self, images: Tensor) -> Tensor:
        """Images [N, 1, 28, 28] in [-1, 1] -> features [N, 64], none below 0."""
        hidden = F.conv2d(images, self.weights["conv1.weight"], self.weights["conv1.bias"])
        hidden = F.max_pool2d(torch.relu(hidden), 2)
        hidden = F.conv2d(hidden, self.weights["conv2.weight"], self.weights["conv2.bias"])
        hidden = F.max_pool2d(torch.relu(hidden), 2).flatten(1)
        return torch.relu(F.linear(hidden, self.weights["dense.weight"], self.weights["dense.bias"]))

    def logits(self, features: Tensor) -> Tensor:
        """Features [N, 64] -> logits [N, classes]."""
        return F.linear(features, self.weights["classes.weight"], self.weights["classes.bias"])

    @torch.no_grad()
    def accuracy(self, parts: Sequence[Part]) -> float:
        """The share of these images for which the most likely class is the right one."""
        right, count = 0, 0
        for part in parts:
            found = self.logits(self.features(as_input(torch.from_numpy(part.images.copy())))).argmax(1)
            right += int((found.numpy() == part.labels).sum())
            count += len(part.labels)
        return right / count


def load_classifier(path: str, digest: str) -> Classifier:
    """The classifier of a run. Raises UserError if it is not the one that the run began with."""
    recorded = read_recorded_classifier(Path(path), digest)
    return Classifier(weights={name: torch.from_numpy(array.copy()) for name, array in recorded.weights.items()})


def taught(images: Images, *, seed: int = 0, passes: int = PASSES) -> Classifier:
    """A classifier trained on the training images, randomly shifted, rotated and resized a little. The same each time on one
    machine.
    """
    generator = torch.Generator().manual_seed(seed)
    weights = {name: _first(shape, generator).requires_grad_() for name, shape in shapes_of(images.classes).items()}
    classifier = Classifier(weights=weights)
    optimiser = torch.optim.AdamW(list(weights.values()), lr=RATE, weight_decay=WEIGHT_DECAY)
    seen, labels = (
        as_input(torch.from_numpy(images.training.images.copy())),
        torch.from_numpy(images.training.labels.astype("int64")),
    )
    size = min(BATCH, len(seen))
    updates = passes * (len(seen) // size)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, updates)
    for _ in range(passes):
        order = torch.randperm(len(seen), generator=generator)[: len(seen) // size * size]
        for chosen in torch.split(order, size):
            features = classifier.features(_moved(seen[chosen], generator))
            kept = torch.rand(features.shape, generator=generator) >= DROPOUT
            loss = F.cross_entropy(classifier.logits(features * kept / (1.0 - DROPOUT)), labels[chosen])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            falling.step()
    return Classifier(weights={name: weight.detach() for name, weight in weights.items()})


def _first(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Initial weights (He 2015): a standard deviation of sqrt(2 / inputs); biases are 0."""
    if len(shape) == 1:
        return torch.zeros(shape)
    return torch.randn(shape, generator=generator) * math.sqrt(2.0 / math.prod(shape[1:]))


def _moved(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each image shifted, rotated and resized by a random amount of its own."""
    drawn = 2.0 * torch.rand((len(images), 4), generator=generator) - 1.0
    angle, size = TURN * drawn[:, 0], 1.0 + GROW * drawn[:, 1]
    cosine, sine = size * angle.cos(), size * angle.sin()
    shift = SHIFT * drawn[:, 2:]
    maps = torch.stack([torch.stack([cosine, -sine, shift[:, 0]], 1), torch.stack([sine, cosine, shift[:, 1]], 1)], 1)
    grid = F.affine_grid(maps, list(images.shape), align_corners=False)
    moved: Tensor = F.grid_sample(images + 1.0, grid, align_corners=False) - 1.0  # what enters from outside the image is black
    return moved
