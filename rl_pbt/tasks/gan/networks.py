"""A small DCGAN for images of 28x28 (Radford 2015, arXiv 1511.06434): both networks as functions of one member's weights.

Strided convolutions, batch normalisation in every layer but the generator's last and the discriminator's first, ReLU and tanh in
the generator, leaky ReLU in the discriminator, weights from N(0, 0.02): as in the paper, with a dense layer where it projects
the latent vector and where it decides, and fewer channels. In training a batch is normalised by its own statistics, of real and
generated images apart; the generator keeps running ones, which are part of its member's state, so that what it makes afterwards
of one latent vector does not depend on the others.

A member at a time, and all layers of it before the next one's: what it computes are the same calls on the same shapes in any
population, so that its digits are, too, and a CPU convolves images of one member faster than those of several together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

Weights: TypeAlias = Mapping[str, Tensor]  # of one network of one member, by name
LATENT = 64  # numbers of a latent vector; Radford 2015 has 100, for larger images
FIRST = 7  # pixels of a side of the generator's first pictures, which it doubles twice
SLOPE = 0.2  # of leaky ReLU (Radford 2015, sec. 3)
MOMENTUM, EPSILON = 0.1, 1e-5  # of batch normalisation, as torch has them
DEVIATION = 0.02  # of first weights (Radford 2015, sec. 4)
MEAN, VARIANCE = "mean", "variance"


def generator_shapes(channels: int) -> dict[str, tuple[int, ...]]:
    """Of each weight. `channels` are those of the last hidden layer; the one before has twice as many."""
    return {
        "project.weight": (2 * channels * FIRST**2, LATENT),
        "norm0.gain": (2 * channels,),
        "norm0.bias": (2 * channels,),
        "up1.weight": (2 * channels, channels, 4, 4),
        "norm1.gain": (channels,),
        "norm1.bias": (channels,),
        "up2.weight": (channels, 1, 4, 4),
        "up2.bias": (1,),
    }


def discriminator_shapes(channels: int) -> dict[str, tuple[int, ...]]:
    """Of each weight. `channels` are those of the first layer; the second has twice as many."""
    return {
        "down1.weight": (channels, 1, 4, 4),
        "down1.bias": (channels,),
        "down2.weight": (2 * channels, channels, 4, 4),
        "norm2.gain": (2 * channels,),
        "norm2.bias": (2 * channels,),
        "decide.weight": (1, 2 * channels * FIRST**2),
        "decide.bias": (1,),
    }


def first_weights(shapes: Mapping[str, tuple[int, ...]], generator: torch.Generator) -> dict[str, Tensor]:
    """Of one network, drawn from `generator` alone: gains about 1, weights about 0, biases 0."""
    drawn = {}
    for name, shape in shapes.items():
        if name.endswith(".bias"):
            drawn[name] = torch.zeros(shape)
        else:
            centre = 1.0 if name.endswith(".gain") else 0.0
            drawn[name] = centre + DEVIATION * torch.randn(shape, generator=generator)
    return drawn


def first_statistics(channels: int) -> dict[str, Tensor]:
    """Running means and variances of the generator's two normalised layers, before it has seen anything."""
    widths = {"norm0": 2 * channels, "norm1": channels}
    means = {f"{name}.{MEAN}": torch.zeros(width) for name, width in widths.items()}
    return means | {f"{name}.{VARIANCE}": torch.ones(width) for name, width in widths.items()}


def generated(weights: Weights, latents: Tensor, statistics: Weights, *, training: bool) -> Tensor:
    """Images of latent vectors, [N, 64] -> [N, 1, 28, 28] in [-1, 1]. In training `statistics` move, in place."""
    hidden = F.linear(latents, weights["project.weight"]).view(len(latents), -1, FIRST, FIRST)
    hidden = torch.relu(_normed(hidden, "norm0", weights, statistics, training=training))
    hidden = F.conv_transpose2d(hidden, weights["up1.weight"], stride=2, padding=1)
    hidden = torch.relu(_normed(hidden, "norm1", weights, statistics, training=training))
    return torch.tanh(F.conv_transpose2d(hidden, weights["up2.weight"], weights["up2.bias"], stride=2, padding=1))


def _normed(hidden: Tensor, name: str, weights: Weights, statistics: Weights, *, training: bool) -> Tensor:
    return F.batch_norm(
        hidden,
        statistics[f"{name}.{MEAN}"],
        statistics[f"{name}.{VARIANCE}"],
        weights[f"{name}.gain"],
        weights[f"{name}.bias"],
        training=training,
        momentum=MOMENTUM,
        eps=EPSILON,
    )


def judged(weights: Weights, images: Tensor) -> Tensor:
    """How real each image of a batch looks, as the logarithm of the odds: [N, 1, 28, 28] -> [N]."""
    hidden = F.conv2d(images, weights["down1.weight"], weights["down1.bias"], stride=2, padding=1)
    hidden = F.conv2d(F.leaky_relu(hidden, SLOPE), weights["down2.weight"], stride=2, padding=1)
    hidden = F.batch_norm(hidden, None, None, weights["norm2.gain"], weights["norm2.bias"], training=True, eps=EPSILON)
    hidden = F.leaky_relu(hidden, SLOPE).flatten(1)
    return F.linear(hidden, weights["decide.weight"], weights["decide.bias"])[:, 0]


def discriminator_loss(of_real: Tensor, of_generated: Tensor) -> Tensor:
    """Cross entropy of real images and of generated ones (Goodfellow 2014, Algorithm 1), from the odds."""
    return F.softplus(-of_real).mean() + F.softplus(of_generated).mean()


def generator_loss(of_generated: Tensor) -> Tensor:
    """The non-saturating one: the logarithm of being taken for real is maximised (Goodfellow 2014, sec. 3)."""
    return F.softplus(-of_generated).mean()


def as_input(images: Tensor) -> Tensor:
    """Bytes [N, 28, 28] as the networks see them, [N, 1, 28, 28] in [-1, 1]."""
    return images.unsqueeze(1).to(torch.float32) / 127.5 - 1.0


def as_bytes(images: Tensor) -> Tensor:
    """The other way, [N, 1, 28, 28] -> [N, 28, 28]."""
    return ((images[:, 0] + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8)
