"""Small images and their classifier, made once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.rl_pbt.tasks.gan.small import TINY, write_images, write_small_classifier


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Settings of the least GAN, on files of its own."""
    folder = tmp_path_factory.mktemp("gan")
    images, classifier = write_images(folder / "corners"), folder / "classifier.safetensors"
    write_small_classifier(images, classifier)
    return {"data": str(images), "classifier": str(classifier), **TINY}


@pytest.fixture(scope="session")
def folder(small: dict[str, Any]) -> Path:
    """Of the images."""
    return Path(small["data"])
