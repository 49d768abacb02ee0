"""The claim that a difference supports, in plain English: no more than its interval, its p value and its seeds allow."""

from __future__ import annotations

from collections.abc import Mapping

from rl_pbt.report.chance import ALPHA, Chance, Family
from rl_pbt.report.statistics import Estimate
from rl_pbt.tasks.words import Words
from rl_pbt.text import score_text, told_apart

NONE_FOUND = "No statistically significant difference"
WHERE: Mapping[Family, str] = {"primary": " in the declared primary contrast", "second look": " in a second look"}


def verdict_of(methods: tuple[str, str], difference: Estimate, chance: Chance, words: Words) -> str:
    """The claim that the difference of the first method from the second supports, and what could have been found."""
    better, worse = methods if difference.value >= 0 else methods[::-1]
    over = f"over {chance.in_words}" if difference.unit == "seeds" else f"over test {words.episodes} only"
    measured = f"{methods[0]} minus {methods[1]} is {difference.value:+.4g} in mean test {words.score}"
    if difference.interval is None:
        return f"{NONE_FOUND}: {measured}, and a single test {words.episode} gives no interval; test on more."
    measured += f" (95 % interval {difference.interval[0]:+.4g} to {difference.interval[1]:+.4g} {over})"
    if chance.corrected is None:
        found = f"In this run {better}'s winner beat {worse}'s" if difference.sign else NONE_FOUND
        return (
            f"{found}: {measured}. With {chance.in_words} no interval over seeds can be given: this says nothing about "
            f"other seeds. Run {chance.needed} seeds or more."
        )
    where = WHERE.get(chance.family, "")
    if chance.hopeless:
        return f"{NONE_FOUND}{where}: {measured}. {_too_few(chance)}"
    claimed = better_of(methods, difference, chance)
    found = f"{claimed} is better" if claimed else NONE_FOUND
    small = chance.corrected < ALPHA
    but = " No difference is claimed, because the interval includes 0." if small and not difference.sign else ""
    p_value = f"p = {told_apart(chance.corrected, ALPHA, 'g', 2)}{_of_many(chance)}"
    return f"{found}{where}: {measured}, {p_value}.{but}{_could_have_found(chance)}"


def better_of(methods: tuple[str, str], difference: Estimate, chance: Chance) -> str | None:
    """The method that is claimed to be better; None if no difference is claimed."""
    if chance.corrected is None or chance.corrected >= ALPHA:
        return None
    return {1: methods[0], -1: methods[1], 0: None}[difference.sign]


def _of_many(chance: Chance) -> str:
    """What the p value is corrected for."""
    further = "further " if chance.family == "further" else ""
    return f", corrected for {chance.together} {further}comparisons" if chance.together > 1 else ""


def _too_few(chance: Chance) -> str:
    by_chance = (
        "with two equal methods, one would have all the better scores"
        if chance.unpaired
        else "two equal methods would differ in one direction on all of them"
    )
    many = f", and there are {chance.together} here" if chance.together > 1 else ""
    return (
        f"{chance.in_words} are too few to find any, however large: {by_chance} in 1 of {chance.often} comparisons{many}. "
        f"Run {chance.needed} or more."
    )


def _could_have_found(chance: Chance) -> str:
    """The true difference that would be found, to two digits: the spread of few seeds supports no more."""
    if chance.detectable is None:
        return ""
    rounded = float(f"{chance.detectable:.2g}")
    return f" With {chance.in_words} and this spread, a true difference of {score_text(rounded)} would be found 4 times in 5."
