"""Pictures are shrunk as others shrink them."""

from __future__ import annotations

import numpy as np
import pytest

from rl_pbt.envs.shrinking import area_means


@pytest.mark.parametrize("size", [(210, 160), (250, 160), (100, 90), (84, 84)])
@pytest.mark.parametrize("colours", [[0, 255], [0, 50, 100, 142, 200, 236], range(256)], ids=len)
def test_area_means_are_opencvs(size: tuple[int, int], colours: list[int]) -> None:
    """Few colours make many means that lie exactly between two whole numbers."""
    opencv = pytest.importorskip("cv2")
    frame = np.random.default_rng(0).choice(np.array(colours, np.uint8), size)
    np.testing.assert_array_equal(area_means(frame, (84, 84)), opencv.resize(frame, (84, 84), interpolation=opencv.INTER_AREA))


def test_area_means_count_what_a_pixel_covers() -> None:
    frame = np.array([[0, 10, 20], [30, 40, 50], [60, 70, 80]], np.uint8)
    np.testing.assert_array_equal(area_means(frame, (1, 1)), [[40]])
    np.testing.assert_array_equal(area_means(frame, (2, 3)), [[10, 20, 30], [50, 60, 70]])
    np.testing.assert_array_equal(area_means(frame, (3, 2)), [[3, 17], [33, 47], [63, 77]])
