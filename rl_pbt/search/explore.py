"""Explore: how copied hyperparameters are changed, as plain functions of a space, hyperparameters and a random generator.

Perturb and resample are from Jaderberg 2017, sec. 4.1.2. Deviations: the default factors are 1.2 and 1/1.2 (Espeholt 2018,
App. F), not 1.2 and 0.8, whose product is below 1: that is a hidden decay of every hyperparameter, to 0.36x in the median after
50 perturbations. A perturbed hyperparameter stays inside its bounds, and a discount moves on the scale of 1-discount.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, final

import numpy as np

from rl_pbt.errors import BadSetting
from rl_pbt.options import option
from rl_pbt.records import Hypers
from rl_pbt.space import Dimension, Space

MOST_MOVES = 10_000  # that `reach` tries: a factor that has not reached a bound by then hardly moves anything
UNBIASED_FACTORS = (1.2, 1 / 1.2)


def factors_option() -> tuple[float, ...]:
    """The field `factors` of a method's options."""
    return option(UNBIASED_FACTORS, help="factors that perturb a hyperparameter, all equally likely", metavar="FACTOR")


def resample_probability_option() -> float:
    """The field `resample_probability` of a method's options."""
    return option(
        0.0,
        help="probability that a hyperparameter is resampled from its range instead of perturbed",
        metavar="PROBABILITY",
    )


class Explore(Protocol):
    """A rule that changes hyperparameters, each with random draws of its own."""

    @abstractmethod
    def __call__(self, space: Space, hypers: Hypers, rng: np.random.Generator) -> Hypers: ...


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Perturb:
    """Each hyperparameter is perturbed by one of the factors, with `probability` (1 in Jaderberg 2017; 1/3 in Espeholt 2018)."""

    factors: tuple[float, ...] = UNBIASED_FACTORS
    probability: float = 1.0

    def __post_init__(self) -> None:
        if not self.factors or min(self.factors) <= 0:
            raise BadSetting("factors", f"must be numbers above 0, one at least, but are {list(self.factors)}")

    def __call__(self, space: Space, hypers: Hypers, rng: np.random.Generator) -> Hypers:
        return {
            name: dimension.perturb(hypers[name], self.factors[int(rng.integers(len(self.factors)))])
            if rng.random() < self.probability
            else hypers[name]
            for name, dimension in space.dimensions.items()
        }


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PerturbOrResample:
    """Each hyperparameter is resampled from the prior with `probability`, otherwise perturbed; 1 is the paper's "resample"."""

    probability: float
    perturb: Perturb = Perturb()

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise BadSetting("resample_probability", f"must be between 0 and 1, but is {self.probability}")

    def __call__(self, space: Space, hypers: Hypers, rng: np.random.Generator) -> Hypers:
        moved = self.perturb(space, hypers, rng)
        return {
            name: dimension.sample(rng) if rng.random() < self.probability else moved[name]
            for name, dimension in space.dimensions.items()
        }


def explore_by(factors: tuple[float, ...], resample_probability: float) -> Explore:
    """Perturb, resample, or for each hyperparameter one of the two."""
    perturb = Perturb(factors=factors)
    return PerturbOrResample(probability=resample_probability, perturb=perturb) if resample_probability else perturb


def reach(dimension: Dimension, factors: Sequence[float], times: int) -> float:
    """The largest share of its range, on its own scale, that `times` perturbations can move a hyperparameter, from one end."""
    return max(_moved(dimension, end, factor, times) for end in (0.0, 1.0) for factor in (min(factors), max(factors)))


def _moved(dimension: Dimension, start: float, factor: float, times: int) -> float:
    """The share moved from `start` (0 to 1), always by the same factor."""
    value = dimension.from_unit(start)
    for _ in range(min(times, MOST_MOVES)):
        before, value = value, dimension.perturb(value, factor)
        if value == before:  # at a bound
            break
    return abs(dimension.unit(value) - start)
