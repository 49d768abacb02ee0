"""A small DCGAN for 28x28 images (Radford 2015, arXiv 1511.06434): both networks as functions of one member's weights.

As in the paper: strided convolutions, batch normalisation in every layer but the generator's last and the discriminator's first
and last, ReLU and tanh in the generator, leaky ReLU in the discriminator, weights from N(0, 0.02). Unlike there, dense layers
project the latent vector and make the decision, and there are fewer channels. In training a batch is normalised by its own
statistics, real and generated images separately. The generator also keeps running statistics, which are part of its member's
state: so the image that it later makes of one latent vector does not depend on the others.

One member is computed at a time, through all layers. So a member makes the same calls on the same shapes in any population, and
gets the same digits. A CPU also convolves the images of one member faster than those of several together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

Weights: TypeAlias = Mapping[str, Tensor]  # of one network of one member, by name
LATENT = 64  # numbers in a latent vector; Radford 2015 has 100, for larger images
FIRST = 7  # pixels of a side of the generator's first feature maps, which it doubles twice
SLOPE = 0.2  # of leaky ReLU (Radford 2015, sec. 3)
MOMENTUM, EPSILON = 0.1, 1e-5  # of batch normalisation, as torch has them
DEVIATION = 0.02  # standard deviation of initial weights (Radford 2015, sec. 4)
MEAN, VARIANCE = "mean", "variance"


def generator_shapes(channels: int) -> dict[str, tuple[int, ...]]:
    """The shape of each weight. `channels` are those of the last hidden layer; the one before has twice as many."""
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
    """The shape of each weight. `channels` are those of the first layer; the second has twice as many."""
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
    """Initial weights of one network, drawn from `generator` alone: gains around 1, weights around 0, biases 0."""
    drawn = {}
    for name, shape in shapes.items():
        if name.endswith(".bias"):
            drawn[name] = torch.zeros(shape)
        else:
            centre = 1.0 if name.endswith(".gain") else 0.0
            drawn[name] = centre + DEVIATION * torch.randn(shape, generator=generator)
    return drawn


def first_statistics(channels: int) -> dict[str, Tensor]:
    """Initial running means (0) and variances (1) of the generator's two normalised layers."""
    widths = {"norm0": 2 * channels, "norm1": channels}
    means = {f"{name}.{MEAN}": torch.zeros(width) for name, width in widths.items()}
    return means | {f"{name}.{VARIANCE}": torch.ones(width) for name, width in widths.items()}


def generated(weights: Weights, latents: Tensor, statistics: Weights, *, training: bool) -> Tensor:
    """Images from latent vectors, [N, 64] -> [N, 1, 28, 28] in [-1, 1]. In training, `statistics` are updated in place."""
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
    """How real each image of a batch looks, as a logit: [N, 1, 28, 28] -> [N]."""
    hidden = F.conv2d(images, weights["down1.weight"], weights["down1.bias"], stride=2, padding=1)
    hidden = F.conv2d(F.leaky_relu(hidden, SLOPE), weights["down2.weight"], stride=2, padding=1)
    hidden = F.batch_norm(hidden, None, None, weights["norm2.gain"], weights["norm2.bias"], training=True, eps=EPSILON)
    hidden = F.leaky_relu(hidden, SLOPE).flatten(1)
    return F.linear(hidden, weights["decide.weight"], weights["decide.bias"])[:, 0]


def discriminator_loss(of_real: Tensor, of_generated: Tensor) -> Tensor:
    """Cross-entropy of real images and of generated ones (Goodfellow 2014, Algorithm 1), from logits."""
    return F.softplus(-of_real).mean() + F.softplus(of_generated).mean()


def generator_loss(of_generated: Tensor) -> Tensor:
    """The non-saturating loss: the log-probability of being taken for real is maximised (Goodfellow 2014, sec. 3)."""
    return F.softplus(-of_generated).mean()


def as_input(images: Tensor) -> Tensor:
    """Images uint8 [N, 28, 28] as the networks take them, float32 [N, 1, 28, 28] in [-1, 1]."""
    return images.unsqueeze(1).to(torch.float32) / 127.5 - 1.0


def as_bytes(images: Tensor) -> Tensor:
    """The inverse of `as_input`: [N, 1, 28, 28] in [-1, 1] -> uint8 [N, 28, 28]."""
    return ((images[:, 0] + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8)
