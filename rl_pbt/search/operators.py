"""Exploit and explore operators of Population Based Training as plain functions.

Jaderberg et al. 2017, "Population Based Training of Neural Networks", arXiv 1711.09846, sec. 4.1.1.

Departures:
* The default factors are 1.2 and 1/1.2 (Espeholt 2018, App. F), not 1.2 and 0.8, whose product is below 1: a hidden decay of
  every hyper, 0.36x in the median after 50 perturbations.
* A perturbed hyper is kept inside its bounds, and a discount moves on the scale of 1-discount.
* A member copies only from one that is strictly better; ties in the ranking are broken by the keyed generator.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from rl_pbt.records import Hypers
from rl_pbt.space import Space

UNBIASED_FACTORS = (1.2, 1 / 1.2)
JADERBERG_FACTORS = (1.2, 0.8)


def ranking(fitness: Mapping[int, float], rng: np.random.Generator) -> list[int]:
    """Members from worst to best; equal members in random order."""
    members = sorted(fitness)
    draw = dict(zip(members, rng.permutation(len(members)), strict=True))
    return sorted(members, key=lambda member: (fitness[member], draw[member]))


def truncation(fitness: Mapping[int, float], fraction: float, rng: np.random.Generator) -> dict[int, int]:
    """Loser -> donor: each of the bottom `fraction` copies one of the top `fraction`, uniformly drawn (sec. 4.1.1).

    At least one member is at the bottom. A member of minus infinity (a failure) is a loser wherever it ranks, and never a donor.
    """
    order = ranking(fitness, rng)
    size = min(max(1, math.ceil(fraction * len(order))), len(order) // 2)
    bottom = [m for index, m in enumerate(order) if index < size or fitness[m] == -math.inf]
    top = [m for m in order[len(order) - size :] if fitness[m] > -math.inf]
    if not top:
        return {}
    drawn = {loser: top[int(rng.integers(len(top)))] for loser in bottom}
    return {loser: donor for loser, donor in drawn.items() if fitness[loser] < fitness[donor]}


def perturb(space: Space, hypers: Hypers, rng: np.random.Generator, factors: Sequence[float] = UNBIASED_FACTORS) -> Hypers:
    """Each hyper independently moved by one of the factors."""
    return {
        name: dimension.perturb(hypers[name], factors[int(rng.integers(len(factors)))], rng)
        for name, dimension in space.dimensions.items()
    }


def resample(space: Space, hypers: Hypers, rng: np.random.Generator, probability: float) -> Hypers:
    """Each hyper independently, with `probability`, drawn from the prior again."""
    return {
        name: dimension.sample(rng) if rng.random() < probability else hypers[name]
        for name, dimension in space.dimensions.items()
    }
