"""Exploit and explore as the paper words them (Jaderberg 2017, sec. 4.1.1), and the departures the module lists."""

import math

import numpy as np
import pytest

from rl_pbt.search.operators import JADERBERG_FACTORS, UNBIASED_FACTORS, perturb, ranking, resample, truncation
from rl_pbt.space import Space

SPACE = Space.parse({"lr": "log:1e-9:1e9", "entropy": "log:1e-9:1e9", "discount": "horizon:0.5:0.9999"})


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_bottom_fifth_copies_uniformly_from_the_top_fifth() -> None:
    fitness = {member: float(member) for member in range(10)}
    seen = {(loser, donor) for seed in range(200) for loser, donor in truncation(fitness, 0.2, rng(seed)).items()}
    assert seen == {(0, 8), (0, 9), (1, 8), (1, 9)}


@pytest.mark.parametrize(("population", "size"), [(2, 1), (3, 1), (4, 1), (5, 1), (6, 2), (8, 2), (40, 8)])
def test_at_least_one_member_loses(population: int, size: int) -> None:
    assert len(truncation({m: float(m) for m in range(population)}, 0.2, rng())) == size


def test_equal_members_never_copy_and_ties_are_broken_by_the_draw() -> None:
    assert truncation(dict.fromkeys(range(8), 1.0), 0.2, rng()) == {}
    lasts = {ranking(dict.fromkeys(range(8), 1.0), rng(seed))[-1] for seed in range(200)}
    assert lasts == set(range(8))


def test_failures_lose_wherever_they_rank_and_are_never_copied() -> None:
    fitness = {0: -math.inf, 1: -math.inf, 2: -math.inf, 3: 1.0, 4: 2.0}
    copies = truncation(fitness, 0.2, rng())
    assert set(copies) == {0, 1, 2} and set(copies.values()) == {4}
    assert truncation(dict.fromkeys(range(4), -math.inf), 0.2, rng()) == {}


def test_each_hyper_draws_its_own_factor() -> None:
    start = {"lr": 1.0, "entropy": 1.0, "discount": 0.98}
    moves = {tuple(round(v, 6) for v in perturb(SPACE, start, rng(seed)).values()) for seed in range(100)}
    assert len(moves) == 8


def test_default_factors_do_not_drift_and_the_papers_do() -> None:
    def median_after(factors: tuple[float, ...]) -> float:
        ends = []
        for seed in range(300):
            generator, hypers = rng(seed), {"lr": 1.0, "entropy": 1.0, "discount": 0.98}
            for _ in range(50):
                hypers = perturb(SPACE, hypers, generator, factors)
            ends.append(float(hypers["lr"]))
        return float(np.median(ends))

    assert median_after(UNBIASED_FACTORS) == pytest.approx(1.0, rel=0.5)
    assert median_after(JADERBERG_FACTORS) == pytest.approx(0.36, rel=0.5)


def test_resample_draws_from_the_prior_with_its_probability() -> None:
    start = {"lr": 1.0, "entropy": 1.0, "discount": 0.98}
    assert resample(SPACE, start, rng(), 0.0) == start
    generator = rng()
    changed = [
        sum(drawn[name] != start[name] for name in start)
        for drawn in (resample(SPACE, start, generator, 0.25) for _ in range(2000))
    ]
    assert np.mean(changed) / 3 == pytest.approx(0.25, abs=0.03)
