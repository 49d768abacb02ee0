"""What may be claimed depends on how many seeds there are, and on whether they are paired."""

from __future__ import annotations

import pytest

from rl_pbt.report.statistics import Estimate, p_value_of, unpaired_p_value_of
from rl_pbt.report.verdict import ALPHA, Chance, verdict_of
from rl_pbt.tasks.playing import FRAMES


def chance(*seeds: int, p_value: float | None = 0.01, together: int = 1) -> Chance:
    return Chance(p_value=p_value, corrected=p_value and min(1.0, p_value * together), together=together, seeds=seeds)


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
        (chance(4, 6), "over 4 and 6 unpaired seeds), p = 0.01."),
        (chance(3, 3), "3 and 3 unpaired seeds are too few to claim it: of two equal methods one would have all"),
        (chance(5), "5 seeds are too few to claim it: two equal methods would differ in one direction on all of them in 1 of 16"),
        (chance(6, p_value=0.06), "a permutation test gives p = 0.06."),
        (chance(5, 2, p_value=None), "With 5 and 2 unpaired seeds no interval over seeds can be given"),
    ],
)  # fmt: skip
def test_the_verdict_says_what_the_seeds_bear(given: Chance, says: str) -> None:
    assert says in verdict_of(("a", "b"), Estimate(value=2.0, interval=(1.0, 3.0), unit="seeds"), given, FRAMES)
