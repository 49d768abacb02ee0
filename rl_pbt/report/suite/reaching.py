"""How much of its budget a method needs until it tests as well as another method's winner.

Before the end a search is tested at a few points, with noise: the first point at which the curve happens to be high enough comes
too early, all the earlier the more points there are. So a method's anytime curve is averaged over the seeds and made monotone by
isotonic regression (Barlow 1972): a fall after a rise takes back a part of the rise. The noise of few seeds remains, so the share
of the second method itself, by the same rule, is shown for comparison.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import isotonic_regression

from rl_pbt.arrays import Floats
from rl_pbt.report.curves import on_one_grid
from rl_pbt.report.intervals import LEVEL, TAIL
from rl_pbt.report.statistics import Estimate
from rl_pbt.report.suite.scores import MeasuredCell
from rl_pbt.store.curves import anytime_curve
from rl_pbt.text import NOTHING

PLACES = 201  # of a curve, which is linear between two tests
REPETITIONS = 1_000  # of the bootstrap over seeds
ROUNDING = 1e-9  # relative; a mean of equal scores may differ from them in its last digit


def reached(cell: MeasuredCell, method: str, second: str) -> Estimate | None:
    """The share of the second method's budget after which the best member so far of `method` tests as well as its winner.

    It is infinite if that never happens; None if a search was tested only at its end. The interval draws seeds with replacement,
    the same ones for both methods.
    """
    histories = cell.evidence.histories
    curves = [np.array(anytime_curve(history), dtype=np.float64) for history in histories[method].values()]
    if min(map(len, curves)) < 2:
        return None
    budget = float(np.mean([history.cost.units for history in histories[second].values()]))
    units, scores = on_one_grid(curves, PLACES)
    winners = np.array([anytime_curve(history)[-1][1] for history in histories[second].values()])  # [seed]
    drawn = np.random.default_rng(0).integers(len(scores), size=(REPETITIONS, len(scores)))
    shares = [_first_place(scores[seeds].mean(axis=0), winners[seeds].mean(), units) / budget for seeds in drawn]
    low, high = np.quantile(shares, [TAIL, TAIL + LEVEL], method="nearest")  # between two infinite ones nothing is interpolated
    value = _first_place(scores.mean(axis=0), winners.mean(), units) / budget
    return Estimate(value=value, interval=(float(low), float(high)), unit="seeds")


def _first_place(curve: Floats, target: float, units: Floats) -> float:
    """The units at which the monotone fit of the curve reaches the target; infinite if it does not."""
    fitted: Floats = isotonic_regression(curve).x
    above = np.flatnonzero(fitted >= target - ROUNDING * abs(target))
    return float(units[above[0]]) if len(above) else math.inf


def share_text(share: Estimate | None) -> str:
    """The share and its interval: 62 % (45 % to never); a dash if there is none."""
    if share is None or share.interval is None:
        return NOTHING
    low, high = share.interval
    return f"{_percent(share.value)} ({_percent(low)} to {_percent(high)})"


def _percent(share: float) -> str:
    return "never" if math.isinf(share) else f"{share:.0%}".replace("%", " %")
