"""What chance alone does: the p values of comparisons that are made together, and what their seeds could have found.

A run may declare one comparison as its primary contrast. It is a family of its own, tested alone; all others form a second
family, whose p values are corrected together. So in each family, a difference between equal methods is claimed in at most 5 % of
runs.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from math import comb
from typing import Literal, TypeAlias, TypeVar, final

from rl_pbt.report.power import smallest_effect
from rl_pbt.report.statistics import (
    ReturnsBySeed,
    holm,
    p_value_of,
    spread_of,
    unpaired_p_value_of,
    unpaired_spread_of,
)
from rl_pbt.text import counted, listed

ALPHA = 0.05
# The primary contrast; all others beside it; all, if none was declared; all, against another method than the run's reference.
Family: TypeAlias = Literal["primary", "further", "all", "second look"]
Key = TypeVar("Key", bound=Hashable)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """The p value of a comparison, and the same corrected for all that are compared `together`; None for too few seeds.

    `seeds` is the number of pairs or, if they are not paired, the number of seeds of each method. `spread` is the standard
    deviation over seeds, of the paired differences or of a method.
    """

    p_value: float | None
    corrected: float | None
    together: int
    seeds: tuple[int, ...]
    spread: float | None = None
    family: Family = "all"

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
        """One in so many comparisons of equal methods separates them as clearly as this number of seeds can."""
        return _comparisons(self.seeds)

    @property
    def hopeless(self) -> bool:
        """Whether the seeds are too few to find any difference, however large."""
        return self.together / self.often >= ALPHA

    @property
    def needed(self) -> int:
        """The fewest seeds of each method that can show anything."""
        seeds = 1
        while self.together / _comparisons((seeds,) * len(self.seeds)) >= ALPHA:
            seeds += 1
        return seeds

    @property
    def detectable(self) -> float | None:
        """The true difference that this many seeds with this spread would find 4 times in 5, if only these two methods differed.

        The p value is corrected for all compared `together`. None for too few seeds, or if all differ by the same amount.
        """
        effect = smallest_effect(self.seeds, ALPHA / self.together) if self.spread and not self.hopeless else None
        return None if effect is None or self.spread is None else effect * self.spread


def _comparisons(seeds: tuple[int, ...]) -> int:
    """One in so many comparisons of equal methods gives one of them all of the better results.

    Equal methods differ in the same direction on all of n paired seeds with probability 2^(1-n). Of all ways to deal out the
    seeds of two methods, two give all of the better ones to one of them.
    """
    return max(1, (comb(sum(seeds), seeds[0]) if len(seeds) == 2 else 2 ** seeds[0]) // 2)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """The test scores of two methods, [seeds][episodes]; if they are `paired`, position i of both is the same seed."""

    first: ReturnsBySeed
    second: ReturnsBySeed
    paired: bool = True

    @property
    def seeds(self) -> tuple[int, ...]:
        """The numbers of seeds, as in `Chance`."""
        return (len(self.first),) if self.paired else (len(self.first), len(self.second))


def chances(samples: Mapping[Key, Samples], family: Family, *, missing: int = 0) -> dict[Key, Chance]:
    """The chance of each comparison of a family, whose p values are corrected together (Holm).

    The correction is also for comparisons that are `missing`, since the family was declared with them.
    """
    tests = {key: (p_value_of if one.paired else unpaired_p_value_of)(one.first, one.second) for key, one in samples.items()}
    known = {key: p_value for key, p_value in tests.items() if p_value is not None}
    corrected = dict(zip(known, holm([*known.values(), *[1.0] * missing]), strict=False))
    return {
        key: Chance(
            p_value=tests[key],
            corrected=corrected.get(key),
            together=(len(known) or len(samples)) + missing,
            seeds=one.seeds,
            spread=(spread_of if one.paired else unpaired_spread_of)(one.first, one.second),
            family=family,
        )
        for key, one in samples.items()
    }
