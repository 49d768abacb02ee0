"""Curves of several seeds, brought together to be drawn or compared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rl_pbt.arrays import Floats


def on_one_grid(curves: Sequence[Floats], places: int) -> tuple[Floats, Floats]:
    """Curves [point, 2] of several seeds at the same units, from where all have begun: units [place], values [seed, place].

    A curve that ends earlier than others keeps its last value.
    """
    start, end = max(curve[0, 0] for curve in curves), max(curve[-1, 0] for curve in curves)
    units = np.linspace(start, max(start, end), places)
    return units, np.array([np.interp(units, *curve.T) for curve in curves])
