"""What could have been found: the calculation against simulations of the verdict itself, and against what is known."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from rl_pbt.report.chance import ALPHA, Chance, Samples, chances
from rl_pbt.report.power import power, smallest_effect
from rl_pbt.report.statistics import difference_of, p_value_of, unpaired_difference_of
from rl_pbt.report.verdict import verdict_of
from rl_pbt.tasks.on_environments.words import FRAMES

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "how-sure.md").read_text(encoding="utf-8")


def claimed(effect: float, seeds: tuple[int, ...], together: int, rng: np.random.Generator) -> bool:
    """Whether one made-up comparison is, among so many, with a true difference of so many standard deviations."""
    first = (rng.standard_normal(seeds[0]) + effect)[:, None].tolist()
    second = (rng.standard_normal(seeds[1]) if len(seeds) == 2 else np.zeros(seeds[0]))[:, None].tolist()
    samples = Samples(first=first, second=second, paired=len(seeds) == 1)
    chance = chances({0: samples}, "all")[0]
    assert chance.p_value is not None
    chance = replace(chance, together=together, corrected=min(1.0, together * chance.p_value))
    difference = (difference_of if samples.paired else unpaired_difference_of)(first, second)
    return verdict_of(("a", "b"), difference, chance, FRAMES).startswith("a is better")


@pytest.mark.parametrize(
    ("seeds", "together", "runs"),
    [
        ((6,), 1, 400),
        ((10,), 1, 400),
        ((10,), 17, 400),
        ((4, 4), 1, 400),
        ((5, 6), 1, 400),
        pytest.param((12,), 5, 2000, marks=pytest.mark.nightly),
        pytest.param((20,), 17, 1000, marks=pytest.mark.nightly),
        pytest.param((8, 8), 3, 1000, marks=pytest.mark.nightly),
    ],
)
def test_the_smallest_effect_is_found_four_times_in_five(seeds: tuple[int, ...], together: int, runs: int) -> None:
    effect = smallest_effect(seeds, ALPHA / together)
    assert effect is not None and power(effect, seeds, ALPHA / together) == pytest.approx(0.8, abs=0.01)
    rng = np.random.default_rng(len(seeds))
    found = np.mean([claimed(effect, seeds, together, rng) for _ in range(runs)])
    assert abs(found - 0.8) < 3.5 * (0.4 / runs**0.5 + 0.009), "the standard errors of the simulation and of the calculation"


@pytest.mark.parametrize("effect", [0.5, 1.0, 2.0])
def test_where_all_pairs_must_agree_power_is_the_chance_that_they_do(effect: float) -> None:
    """Of 17 comparisons of 10 pairs one is claimed if all 10 have one sign: the smallest p values are 2 and 4 of 1024."""
    assert power(effect, (10,), ALPHA / 17) == pytest.approx(norm.cdf(effect) ** 10, abs=0.03)


def test_power_grows_with_effect_and_seeds_and_falls_with_what_is_compared() -> None:
    powers = [[power(effect, (seeds,), ALPHA) for effect in (0.5, 1.0, 2.0)] for seeds in (6, 8, 10)]
    assert all(one < other for row in powers for one, other in itertools.pairwise(row))
    assert all(one < other for column in zip(*powers, strict=True) for one, other in itertools.pairwise(column))
    assert power(1.0, (10,), ALPHA / 2) < power(1.0, (10,), ALPHA)
    assert power(0.0, (10,), ALPHA) < ALPHA / 2 + 0.02, "of equal methods, one way"


@pytest.mark.parametrize("together", [1, 2, 17])
@pytest.mark.parametrize("seeds", [(seeds,) for seeds in range(3, 12)] + [(seeds, seeds) for seeds in range(3, 8)])
def test_nothing_can_be_found_exactly_where_the_smallest_p_value_is_too_large(seeds: tuple[int, ...], together: int) -> None:
    chance = Chance(p_value=1.0, corrected=1.0, together=together, seeds=seeds, spread=2.0)
    effect = smallest_effect(seeds, ALPHA / together)
    assert (effect is None) == chance.hopeless == (max(seeds) < chance.needed)
    assert chance.detectable == (None if effect is None else pytest.approx(2 * effect))
    if len(seeds) == 1:
        apart = p_value_of([[float(seed) + 100] for seed in range(seeds[0])], [[float(seed)] for seed in range(seeds[0])])
        assert apart is not None and (together * apart >= ALPHA) == chance.hopeless


@pytest.mark.parametrize("lead", [0.0, 1.0, 0.1])
def test_methods_that_always_differ_by_as_much_leave_nothing_to_be_found(lead: float) -> None:
    """By 0.1 too, where rounding makes six differences that are not all the same."""
    base = [[1.1], [2.2], [3.3], [4.4], [5.5], [6.6]]
    more = [[value + lead] for (value,) in base]
    chance = chances({0: Samples(first=more, second=base)}, "all")[0]
    assert chance.spread == 0 and chance.detectable is None
    assert "would be found" not in verdict_of(("a", "b"), difference_of(more, base), chance, FRAMES)
    seeds = [[1.0]] * 6
    unpaired = chances({0: Samples(first=[[0.1]] * 6, second=seeds, paired=False)}, "all")[0]
    assert unpaired.spread == 0 and unpaired.detectable is None


@pytest.mark.parametrize(("together", "effect"), [(1, 0.5), (1, 1.0), (17, 0.5), (17, 1.0)])
def test_the_page_says_what_can_be_found(together: int, effect: float) -> None:
    cells = " | ".join(f"{100 * power(effect, (seeds,), ALPHA / together):.0f} %" for seeds in (6, 10, 12, 20, 30))
    row = f"| {together} | {effect:g} | {cells} |"
    assert f"\n{row}\n" in PAGE, f"docs/how-sure.md should say {row}"


@pytest.mark.parametrize("together", [1, 17])
def test_the_page_says_how_small_a_difference_is_found(together: int) -> None:
    smallest = [smallest_effect((seeds,), ALPHA / together) for seeds in (6, 10, 12, 20, 30)]
    row = f"| {together} | {' | '.join('none' if one is None else f'{one:.1f}' for one in smallest)} |"
    assert f"\n{row}\n" in PAGE, f"docs/how-sure.md should say {row}"
