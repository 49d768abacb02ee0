"""The claim that a difference supports, in plain English: no more than its interval, its p value and its seeds bear."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import final

from rl_pbt.report.statistics import Estimate
from rl_pbt.tasks.base import Words
from rl_pbt.text import counted, listed

ALPHA = 0.05


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """The p value of a comparison, and the same corrected for all that are compared `together`; None for too few seeds.

    `seeds` is how many pairs of them there are or, where they are not paired, how many each method has.
    """

    p_value: float | None
    corrected: float | None
    together: int
    seeds: tuple[int, ...]

    @property
    def in_words(self) -> str:
        """The seeds: "6 seeds", or "6 and 4 unpaired seeds"."""
        return (
            f"{listed([str(count) for count in self.seeds])} unpaired seeds" if self.unpaired else counted(self.seeds[0], "seed")
        )

    @property
    def unpaired(self) -> bool:
        """Whether the seeds of the two have nothing in common."""
        return len(self.seeds) == 2

    @property
    def often(self) -> int:
        """Of so many comparisons of equal methods one sets them apart as clearly as so many seeds can."""
        return _comparisons(self.seeds)

    @property
    def needed(self) -> int:
        """The fewest seeds of each method that can show anything."""
        seeds = 1
        while self.together / _comparisons((seeds,) * len(self.seeds)) > ALPHA:
            seeds += 1
        return seeds


def _comparisons(seeds: tuple[int, ...]) -> int:
    """Equal methods differ in one direction on all of n paired seeds with chance 2^(1-n). Of all ways to deal out the seeds of
    two methods, two give all of the better ones to one of them.
    """
    return max(1, (comb(sum(seeds), seeds[0]) if len(seeds) == 2 else 2 ** seeds[0]) // 2)


def verdict_of(methods: tuple[str, str], difference: Estimate, chance: Chance, words: Words) -> str:
    """The claim that the difference of the first method from the second supports."""
    better, worse = methods if difference.value >= 0 else methods[::-1]
    over = f"over {chance.in_words}" if difference.unit == "seeds" else f"over test {words.episodes} only"
    measured = f"{methods[0]} minus {methods[1]} is {difference.value:+.4g} in mean test {words.score}"
    none_found = "No statistically significant difference"
    if difference.interval is None:
        return f"{none_found}: {measured}, and a single test {words.episode} gives no interval; test on more."
    measured += f" (95 % interval {difference.interval[0]:+.4g} to {difference.interval[1]:+.4g} {over})"
    if chance.corrected is None:
        found = f"In this run {better}'s winner beat {worse}'s" if difference.sign else none_found
        return (
            f"{found}: {measured}. With {chance.in_words} no interval over seeds can be given: this says nothing about "
            f"other seeds. Run {chance.needed} seeds or more."
        )
    if not difference.sign:
        return f"{none_found}: {measured}."
    return _claim(better, measured, chance, chance.corrected)


def _claim(better: str, measured: str, chance: Chance, p_value: float) -> str:
    """The claim that a difference supports whose interval over seeds excludes 0."""
    of_many = f", corrected for {chance.together} comparisons" if chance.together > 1 else ""
    if chance.together / chance.often > ALPHA:
        by_chance = (
            "of two equal methods one would have all the better ones"
            if chance.unpaired
            else ("two equal methods would differ in one direction on all of them")
        )
        return (
            f"{better} did better on these seeds: {measured}. {chance.in_words} are too few to claim it: {by_chance} in 1 of "
            f"{chance.often} comparisons{f', and here are {chance.together}' if chance.together > 1 else ''}. "
            f"Run {chance.needed} or more."
        )
    if p_value >= ALPHA:
        return (
            f"{better} did better on these seeds: {measured}. It is not enough to claim it: a permutation test gives p = "
            f"{p_value:.2g}{of_many}."
        )
    return f"{better} is better: {measured}, p = {p_value:.2g}{of_many}."
