"""What may be claimed depends on how many seeds there are, and on whether they are paired."""

from __future__ import annotations

import pytest

from rl_pbt.report.chance import ALPHA, Chance, Family
from rl_pbt.report.statistics import Estimate, p_value_of, unpaired_p_value_of
from rl_pbt.report.verdict import verdict_of
from rl_pbt.tasks.on_environments.words import FRAMES


def chance(*seeds: int, p_value: float | None = 0.01, together: int = 1, family: Family = "all") -> Chance:
    corrected = p_value and min(1.0, p_value * together)
    return Chance(p_value=p_value, corrected=corrected, together=together, seeds=seeds, spread=10.0, family=family)


@pytest.mark.parametrize(("together", "paired", "unpaired"), [(1, 6, 4), (2, 7, 5), (17, 10, 6)])
def test_so_many_seeds_are_needed_as_can_give_a_small_p_value(together: int, paired: int, unpaired: int) -> None:
    assert (chance(1, together=together).needed, chance(1, 1, together=together).needed) == (paired, unpaired)
    for seeds, test, least in ((paired, p_value_of, chance(paired)), (unpaired, unpaired_p_value_of, chance(unpaired, unpaired))):
        apart = test([[float(seed) + 100] for seed in range(seeds)], [[float(seed)] for seed in range(seeds)])
        assert apart is not None and apart * together <= ALPHA and apart == pytest.approx(1 / least.often)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (chance(6), "a is better: a minus b is +2 in mean test return (95 % interval +1 to +3 over 6 seeds), p = 0.01."),
        (chance(6, p_value=0.0498), "(95 % interval +1 to +3 over 6 seeds), p = 0.0498."),
        (chance(4, 6), "over 4 and 6 unpaired seeds), p = 0.01."),
        (chance(6), "With 6 seeds and this spread, a true difference of 18 would be found 4 times in 5."),
        (chance(12, together=17, p_value=0.001), "p = 0.017, corrected for 17 comparisons. With 12 seeds"),
        (chance(12, together=17, family="further"), "p = 0.17, corrected for 17 further comparisons."),
        (chance(6, family="primary"), "a is better in the declared primary contrast: a minus b is +2"),
        (chance(6, family="primary", p_value=0.06), "No statistically significant difference in the declared primary contrast"),
        (chance(6, family="second look"), "a is better in a second look: a minus b is +2"),
        (chance(3, 3), "3 and 3 unpaired seeds are too few to find any, however large: with two equal methods, one would"),
        (chance(5), "5 seeds are too few to find any, however large: two equal methods would differ in one direction on all"),
        (chance(6, p_value=0.06), "No statistically significant difference: a minus b is +2"),
        (chance(1, p_value=None), "In this run a's winner beat b's: a minus b is +2"),
        (chance(5, 2, p_value=None), "With 5 and 2 unpaired seeds no interval over seeds can be given"),
    ],
)  # fmt: skip
def test_the_verdict_says_what_the_seeds_bear(given: Chance, says: str) -> None:
    assert says in verdict_of(("a", "b"), Estimate(value=2.0, interval=(1.0, 3.0), unit="seeds"), given, FRAMES)


@pytest.mark.parametrize("p_value", [0.05, 0.2])
@pytest.mark.parametrize("seeds", [3, 5, 6, 10])
def test_no_one_did_better_where_the_p_value_is_not_small(seeds: int, p_value: float) -> None:
    """Whatever the uncorrected interval shows."""
    said = verdict_of(("a", "b"), Estimate(value=2.0, interval=(1.0, 3.0), unit="seeds"), chance(seeds, p_value=p_value), FRAMES)
    assert said.startswith("No statistically significant difference: ") and "better" not in said.replace("better ones", "")


def test_nothing_is_claimed_of_an_interval_that_holds_0() -> None:
    """As of five differences of 1 and one of 50, which the permutation test sets apart: all have one sign."""
    said = verdict_of(("a", "b"), Estimate(value=9.2, interval=(-12.0, 30.0), unit="seeds"), chance(6, p_value=0.03), FRAMES)
    assert (
        said.startswith("No statistically significant difference: ")
        and "p = 0.03. No difference is claimed, because the interval includes 0." in said
    )
