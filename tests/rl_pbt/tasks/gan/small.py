"""A set of images that is quickly learned and quickly read, with a classifier of its own, as files."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save

from rl_pbt.tasks.gan.classifier import Classifier, taught
from rl_pbt.tasks.gan.images import PARTS, read_images

CLASSES = 3
# The least networks; `channels` 16 and the like are for people.
TINY: dict[str, Any] = {"channels": 2, "batch_size": 4, "discriminator_steps": 2, "samples": 20, "evaluations": 2}


def pictures(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A bright square in one of three corners, [count, 28, 28], and which corner."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.uint8) % CLASSES
    images = rng.integers(0, 40, (count, 28, 28), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        top, left = ((2, 2), (2, 16), (16, 2))[label]
        image[top : top + 10, left : left + 10] += 200
    return images, labels


def idx(array: np.ndarray) -> bytes:
    """As an IDX file."""
    lengths = b"".join(length.to_bytes(4, "big") for length in array.shape)
    return bytes((0, 0, 8, array.ndim)) + lengths + array.tobytes()


def write_images(folder: Path, counts: tuple[int, int] = (60, 40)) -> Path:
    """IDX files with so many images to train on and held out, half of them gzipped."""
    folder.mkdir(parents=True)
    for seed, (count, names) in enumerate(zip(counts, PARTS.values(), strict=True)):
        for array, name in zip(pictures(count, seed), names, strict=True):
            if seed:
                (folder / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
            else:
                (folder / name).write_bytes(idx(array))
    return folder


def write_small_classifier(images: Path, path: Path) -> Classifier:
    """Of a few passes, in a file that a task takes."""
    found = read_images(str(images))
    classifier = taught(found, passes=6)
    head = {"accuracy": f"{classifier.accuracy([found.fitness, found.test]):.4f}", "images": found.digest}
    path.write_bytes(save(dict(classifier.weights), metadata=head))
    return classifier
