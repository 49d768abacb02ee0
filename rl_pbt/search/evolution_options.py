"""What can be set of an evolution: the options that the methods made from `Evolution` share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

from rl_pbt.search.evolution import Evolution, burn_in_option
from rl_pbt.search.exploit import Truncation, copy_margin_option, fraction_option
from rl_pbt.search.explore import explore_by, factors_option, resample_probability_option

LOSING_SHARE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class EvolutionOptions(ABC):
    """The options of any evolution. Raises BadSetting if a part of it objects to its own."""

    burn_in: int = burn_in_option()

    def __post_init__(self) -> None:
        self.evolution()  # its parts check themselves

    @abstractmethod
    def evolution(self) -> Evolution:
        """What these options say happens at a ready point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyAndExplore(EvolutionOptions):
    """What can be set where the worst copy the best, and what was copied is explored."""

    fraction: float = fraction_option()
    copy_margin: float = copy_margin_option()
    factors: tuple[float, ...] = factors_option()
    resample_probability: float = resample_probability_option()

    def truncation(self) -> Evolution:
        """Truncation selection, then explore."""
        explore = explore_by(self.factors, self.resample_probability)
        return Evolution(
            exploit=Truncation(fraction=self.fraction, copy_margin=self.copy_margin), explore=explore, burn_in=self.burn_in
        )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TruncationOptions(CopyAndExplore):
    """Options of variants in which the worst copy the best, and what was copied is explored."""

    def evolution(self) -> Evolution:
        """Truncation selection, then explore."""
        return self.truncation()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CopyingOptions(EvolutionOptions):
    """Options of variants in which the worst copy the best, and nothing is explored."""

    fraction: float = fraction_option()
    copy_margin: float = copy_margin_option()

    def evolution(self) -> Evolution:
        """Truncation selection alone."""
        return Evolution(exploit=Truncation(fraction=self.fraction, copy_margin=self.copy_margin), burn_in=self.burn_in)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ExploringOptions(EvolutionOptions):
    """Options of variants that explore, and have no setting for who copies whom."""

    factors: tuple[float, ...] = factors_option()
    resample_probability: float = resample_probability_option()

    def evolution(self) -> Evolution:
        """Explore; the variant adds the rule for copying."""
        return Evolution(explore=explore_by(self.factors, self.resample_probability), burn_in=self.burn_in)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class QuarterOptions(EvolutionOptions):
    """Options of PB2 and GPBT-PL. When members begin to copy is our option; that a quarter does is the setting of both papers."""

    def evolution(self) -> Evolution:
        """The worst quarter copies the best; the method itself says what is explored."""
        return Evolution(exploit=Truncation(fraction=LOSING_SHARE), burn_in=self.burn_in)
