"""What a suite may claim, in three families: its declared contrast, the other methods against the reference, and each cell alone.

In each family, a difference between equal methods is claimed in at most 5 % of suites. All are paired by seed, in normalised
scores.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, final

from rl_pbt.report.chance import Chance, Family, Samples, chances
from rl_pbt.report.statistics import Estimate, difference_of
from rl_pbt.report.suite.scores import SuiteScores
from rl_pbt.report.verdict import better_of

Methods: TypeAlias = tuple[str, str]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The first of two methods minus the second, and what chance alone does."""

    methods: Methods
    difference: Estimate
    chance: Chance

    @property
    def better(self) -> str | None:
        """The method that is claimed to be better; None if no difference is claimed."""
        return better_of(self.methods, self.difference, self.chance)


def other_contrasts(methods: Iterable[str], primary: Methods, reference: str) -> list[Methods]:
    """The reference against each of the other methods, without the primary contrast."""
    return [(reference, other) for other in methods if other != reference and {other, reference} != set(primary)]


def over_cells(scores: SuiteScores, contrasts: Sequence[Methods], family: Family) -> list[Claim]:
    """Claims on the means over all cells; p values are corrected together."""
    samples = {(one, other): Samples(first=scores.by_seed(one), second=scores.by_seed(other)) for one, other in contrasts}
    found = chances(samples, family)
    return [_claim(methods, samples[methods], found[methods]) for methods in samples]


def by_cell(scores: SuiteScores, contrast: Methods, *, missing: int = 0) -> list[Claim]:
    """A claim on each cell; p values are corrected for all cells, those that are `missing` included."""
    first, second = contrast
    samples = {
        place: Samples(first=scores.by_seed(first, [place]), second=scores.by_seed(second, [place]))
        for place in range(len(scores.cells))
    }
    found = chances(samples, "all", missing=missing)
    return [_claim(contrast, samples[place], found[place]) for place in samples]


def _claim(methods: Methods, samples: Samples, chance: Chance) -> Claim:
    return Claim(methods=methods, difference=difference_of(samples.first, samples.second), chance=chance)
