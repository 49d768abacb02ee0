"""Pictures shrunk to means: of blocks of whole pixels, which takes a fraction of the time, or of the areas of any size."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, reduce
from typing import Any

import numpy as np

from rl_pbt.envs.aliases import Array, Pixels

LEAST = 1e-3  # of a pixel; OpenCV leaves out what is less


def block_means(frame: Pixels, block: Sequence[int]) -> Pixels:
    """[H, W, ...] -> [H // block[0], W // block[1], ...]: means of blocks, rounded down; incomplete blocks are cut off."""
    rows, columns = block
    height, width = frame.shape[0] // rows * rows, frame.shape[1] // columns * columns
    # Row by row and then column by column: one sum over both axes takes longer than ViZDoom's own drawing.
    sums = frame[0:height:rows].astype(np.uint16)
    for row in range(1, rows):
        sums += frame[row:height:rows]
    sums = reduce(np.add, [sums[:, column:width:columns] for column in range(columns)])
    return (sums // (rows * columns)).astype(np.uint8)


def area_means(frame: Pixels, size: tuple[int, int]) -> Pixels:
    """[H, W] -> `size`, which must not be larger: a pixel is the mean of the area that it covers, rounded.

    This is OpenCV's INTER_AREA, bit for bit, except that OpenCV rounds halves up where both sides shrink by whole factors.
    """
    (height, width), (rows, columns) = frame.shape, size
    # OpenCV sums along rows first, and in 32 bits: another order would round some means the other way.
    means: Array = _shares(width, columns) @ frame.T.astype(np.float32, order="C")  # [columns, H]
    means = _shares(height, rows) @ np.ascontiguousarray(means.T)
    rounded: Pixels = np.rint(means).astype(np.uint8)
    return rounded


@cache
def _shares(lines: int, number: int) -> Any:
    """A sparse matrix [number, lines] float32: what each line contributes to the mean of those that one of `number` covers."""
    from scipy.sparse import csr_array  # noqa: PLC0415 - it is not needed to know what an environment is

    scale = lines / number
    edges = scale * np.arange(number + 1)[:, None]
    covered = np.minimum(edges[1:], np.arange(1, lines + 1)) - np.maximum(edges[:-1], np.arange(lines))
    return csr_array(np.where(covered > LEAST, covered / scale, 0.0).astype(np.float32))
