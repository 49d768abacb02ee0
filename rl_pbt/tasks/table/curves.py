"""The model: how a training with any hyperparameters goes, based on curves that were recorded at the points of a grid.

* **Between points** a curve is the mean of those at the surrounding corners, weighted by how near each is on the scale of its
  range (multilinear interpolation). Choices are not interpolated.
* **Constant hyperparameters** follow one recorded training: a member draws one of the seeds when it begins.
* **A switch** to other hyperparameters, or to the seed that a copy draws, keeps the score: a member continues the other curve
  from the point that has this score, the one nearest to where it was. If no point has it, the difference is kept. Constant curves
  cannot tell whether it would be: one that stays low may belong to a training that does nothing or to one that destroys what was
  learned. Letting the difference fade, with half-lives of 1/4 to 16 intervals, predicted switches of A2C on Acrobot no better.
* **An evaluation** draws from a normal distribution with the recorded mean and standard deviation, so a score may be higher than
  the environment can give: clipping would change the mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import final

import numpy as np

from rl_pbt.arrays import Floats
from rl_pbt.records import Hyper
from rl_pbt.space import Choice, Dimension
from rl_pbt.tasks.table.recorded import Curve, Header, Table

MOST_MIXED = 10_000  # curves between points, a few kilobytes each


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurve:
    """A curve of the model: all are [K], at `units`, which grow from 0. A training that goes past `ends` fails."""

    units: Floats
    mean: Floats
    sd: Floats
    eval_units: Floats  # cost of one episode
    ends: float = np.inf

    def score(self, units: float) -> float:
        """The mean after so many units; beyond its end the curve stays at its last value."""
        return float(np.interp(units, self.units, self.mean))

    def spread(self, units: float) -> float:
        """The standard deviation from episode to episode."""
        return float(np.interp(units, self.units, self.sd))

    def cost(self, units: float) -> float:
        """Units that one episode of an evaluation costs."""
        return float(np.interp(units, self.units, self.eval_units))

    def place_of(self, score: float, near: float) -> float:
        """The units at which the mean is that score, or comes closest to it; of several, those nearest to `near`."""
        left, right = self.mean[:-1], self.mean[1:]
        crossing = np.flatnonzero((np.minimum(left, right) <= score) & (score <= np.maximum(left, right)))
        if not crossing.size:
            off = np.abs(self.mean - score)
            places = self.units[off == off.min()]
        else:
            begin, end = self.units[:-1][crossing], self.units[1:][crossing]
            rise = right[crossing] - left[crossing]
            with np.errstate(divide="ignore", invalid="ignore"):
                inside = begin + (score - left[crossing]) / rise * (end - begin)
            places = np.where(rise == 0, np.clip(near, begin, end), inside)
        return float(places[np.argmin(np.abs(places - near))])


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where a member stands: `units` along its curve, with a score that is `above` that of the curve."""

    units: float = 0.0
    above: float = 0.0

    def after(self, units: int) -> Position:
        """The position after so many more units of training."""
        return Position(units=self.units + units, above=self.above)

    def score(self, curve: LearningCurve) -> float:
        """Its true mean score on its curve."""
        return curve.score(self.units) + self.above


def switched(curve: LearningCurve, score: float, near: float) -> Position:
    """The position on another curve that has the same `score`, for a member that was at `near` units of the curve before."""
    units = curve.place_of(score, near)
    return Position(units=units, above=score - curve.score(units))


@final
class TableCurves:
    """The curves of a table as functions of hyperparameters and seed."""

    def __init__(self, table: Table) -> None:
        self.header = table.header
        self._dimensions = self.header.space.dimensions
        by_name: dict[str, set[float]] = {name: set() for name in self._dimensions}
        self._recorded: dict[tuple[tuple[float, ...], int], LearningCurve] = {}
        for curve in table.curves:
            units = self.place(curve.hypers)
            self._recorded[units, curve.seed] = _learning_curve(curve, self.header)
            for name, unit in zip(self._dimensions, units, strict=True):
                by_name[name].add(unit)
        self._axes = {name: np.array(sorted(units)) for name, units in by_name.items()}
        self._mixed: dict[tuple[tuple[float, ...], int], LearningCurve] = {}  # those between points, kept for a while

    @property
    def free_evaluation(self) -> bool:
        """Whether evaluation cost nothing, or what it cost was not recorded."""
        return all(not curve.eval_units.any() for curve in self._recorded.values())

    def place(self, hypers: Mapping[str, Hyper]) -> tuple[float, ...]:
        """Hyperparameters on the scales of their ranges, each from 0 to 1; values outside are moved to the nearer bound."""
        return tuple(dimension.unit(hypers[name]) for name, dimension in self._dimensions.items())

    def curve(self, place: tuple[float, ...], seed: int) -> LearningCurve:
        """The curve of that seed at a `place`."""
        key = place, seed
        if key in self._recorded:
            return self._recorded[key]
        if key not in self._mixed:
            if len(self._mixed) >= MOST_MIXED:
                self._mixed.clear()
            self._mixed[key] = _mean([(self._recorded[corner, seed], weight) for corner, weight in self._corners(place)])
        return self._mixed[key]

    def foretold(self, hypers: Mapping[str, Hyper], *, score: float, near: float, units: int) -> float:
        """The predicted mean score, over the seeds, of a member that trains for `units` more with these hyperparameters, and that
        had `score` after `near` units.
        """
        place = self.place(hypers)
        scores = []
        for seed in self.header.seeds:
            curve = self.curve(place, seed)
            position = switched(curve, score, near).after(units)
            scores.append(position.score(curve))
        return float(np.mean(scores))

    def _corners(self, place: tuple[float, ...]) -> Iterator[tuple[tuple[float, ...], float]]:
        """The points around a place, each with its weight; those without weight are left out."""
        sides = [
            _sides(dimension, self._axes[name], unit)
            for (name, dimension), unit in zip(self._dimensions.items(), place, strict=True)
        ]
        for corner in product(*sides):
            yield tuple(unit for unit, _ in corner), float(np.prod([weight for _, weight in corner]))


def _sides(dimension: Dimension, axis: Floats, unit: float) -> list[tuple[float, float]]:
    """The points of one range on either side of `unit`, each with its weight; a single one if there is a point at `unit`."""
    if isinstance(dimension, Choice):
        return [(float(axis[np.argmin(np.abs(axis - unit))]), 1.0)]
    above = int(np.searchsorted(axis, unit))
    if above == len(axis) or axis[above] == unit or above == 0:
        return [(float(axis[min(above, len(axis) - 1)]), 1.0)]
    low, high = float(axis[above - 1]), float(axis[above])
    share = (unit - low) / (high - low)
    return [(low, 1.0 - share), (high, share)]


def _learning_curve(curve: Curve, header: Header) -> LearningCurve:
    """A recorded curve, which begins with the score before any training."""
    each = [cost / header.episodes for cost in curve.eval_units]
    return LearningCurve(
        units=np.array([0, *curve.units], dtype=np.float64),
        mean=np.array([header.start, *curve.mean]),
        sd=np.array([header.start_sd, *curve.sd]),
        eval_units=np.array([*each[:1], *each] if each else [0.0]),
        ends=float(curve.units[-1] if curve.units else 0) if curve.failed else np.inf,
    )


def _mean(corners: list[tuple[LearningCurve, float]]) -> LearningCurve:
    """The weighted mean of curves; it fails where the nearest of them failed."""
    units = np.unique(np.concatenate([curve.units for curve, _ in corners]))

    def mixed(of: str) -> Floats:
        total: Floats = sum(weight * np.interp(units, curve.units, getattr(curve, of)) for curve, weight in corners)
        return total

    nearest = max(corners, key=lambda corner: corner[1])[0]
    return LearningCurve(units=units, mean=mixed("mean"), sd=mixed("sd"), eval_units=mixed("eval_units"), ends=nearest.ends)
