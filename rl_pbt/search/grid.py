"""Grid search: one member for each combination of a few points of each range, equally spaced on its scale.

It was the usual method before Bergstra & Bengio 2012, and is still common. Tables of learning curves are made from it, so every
member is evaluated after every interval. The single point of a range with only one is its middle.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import final

from rl_pbt.errors import BadSetting, near_names
from rl_pbt.options import option
from rl_pbt.records import Hyper, Hypers, Proposal
from rl_pbt.search.base import Generational
from rl_pbt.search.problem import Problem
from rl_pbt.space import Dimension, Space


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class GridOptions:
    """`grid_points`: the number of points by range; 1 for ranges that it does not name. Their product is the population.

    If it is empty, the points are spread over all ranges as evenly as the population allows. Raises BadSetting for less than 1.
    """

    grid_points: Mapping[str, int] = option(
        factory=dict,
        help="number of points in each range, as in learning_rate=4 discount=2 (default: as even as the population allows)",
        of_hypers=True,
    )

    def __post_init__(self) -> None:
        for name, count in self.grid_points.items():
            if count < 1:
                raise BadSetting("grid_points", f"must be 1 or more each, but {name} has {count}")


@final
class Grid(Generational):
    """Every member holds its point; one that failed stays failed. Raises BadSetting unless there is one point per member."""

    def __init__(self, problem: Problem, options: GridOptions) -> None:
        super().__init__(problem)
        counts = dict(options.grid_points) or even_counts(problem.space, problem.plan.population)
        self._points = points_of(problem.space, counts)
        if len(self._points) != problem.plan.population:
            told = f"make {len(self._points)}, a member each: the population must be that, but is {problem.plan.population}"
            raise BadSetting("grid_points", told)

    def initial_hypers(self, member: int) -> Hypers:
        return self._points[member]

    def continuing(self) -> list[int]:
        return self.healthy()

    def generate(self, members: Sequence[int], units: int) -> list[Proposal]:
        return [self.resume(member, units) for member in members]


def points_of(space: Space, counts: Mapping[str, int]) -> list[Hypers]:
    """All points, in the order of the ranges' names. Raises BadSetting for an unknown range, or one with fewer values."""
    for name in counts:
        if name not in space.dimensions:
            raise BadSetting("grid_points", f"cannot cut {name}, which is not searched: {near_names(name, space.dimensions)}")
    values = {name: values_of(dimension, counts.get(name, 1)) for name, dimension in space.dimensions.items()}
    for name, found in values.items():
        if len(set(found)) < len(found):
            raise BadSetting("grid_points", f"cannot cut {name} into {len(found)}: it has fewer values")
    return [dict(zip(values, point, strict=True)) for point in product(*values.values())]


def values_of(dimension: Dimension, count: int) -> list[Hyper]:
    """`count` equally spaced values, from the lowest to the highest; if it is 1, the middle one."""
    return [dimension.from_unit(place / (count - 1) if count > 1 else 0.5) for place in range(count)]


def even_counts(space: Space, population: int) -> dict[str, int]:
    """Points of each range, with the population as their product: its prime factors, each to the range with the fewest so far.

    Raises BadSetting if the ranges have too few values for that.
    """
    counts = dict.fromkeys(space.dimensions, 1)
    for factor in sorted(_prime_factors(population), reverse=True):
        room = {name: count for name, count in counts.items() if _has_values(space.dimensions[name], count * factor)}
        if not room:
            raise BadSetting("grid_points", f"must be said: these ranges have no grid of {population} points")
        counts[min(room, key=lambda name: room[name])] *= factor
    assert prod(counts.values()) == population
    return counts


def _has_values(dimension: Dimension, count: int) -> bool:
    return len(set(values_of(dimension, count))) == count


def _prime_factors(number: int) -> Iterator[int]:
    factor = 2
    while factor * factor <= number:
        while number % factor == 0:
            yield factor
            number //= factor
        factor += 1
    if number > 1:
        yield number
