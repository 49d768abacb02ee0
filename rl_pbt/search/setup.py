"""What a search method is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rl_pbt.records import Hypers, UserError
from rl_pbt.search.budget import Plan
from rl_pbt.search.explore import UNBIASED_FACTORS, Explore, Perturb, PerturbOrResample
from rl_pbt.space import Space


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Hypers, and how many frames were trained with them."""

    frames: int
    hypers: Hypers


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """The problem, and the settings that several methods share. Raises UserError, one line, for settings that cannot be.

    `published` are the hypers that hand tuning found, of every name in `space`. `fraction` is how many lose and win in
    truncation selection. `burn_in` is in frames per member: nobody copies before (Espeholt 2018, App. F, uses 20 million).
    `any_age` lets an asynchronous member compare itself with checkpoints that have trained for longer than its own.
    `schedules` are the stages to replay, by the name of the replaying method, and `first_replayed_member` its first member.
    """

    space: Space
    plan: Plan
    root_seed: int
    published: Hypers = field(default_factory=dict)
    fraction: float = 0.2
    factors: tuple[float, ...] = UNBIASED_FACTORS
    resample_probability: float = 0.0
    burn_in: int = 0
    any_age: bool = False
    schedules: Mapping[str, Sequence[Stage]] = field(default_factory=dict)
    first_replayed_member: int = 0

    def __post_init__(self) -> None:
        if self.burn_in < 0:
            raise UserError(f"--burn-in must be 0 or more frames, but is {self.burn_in}")

    @property
    def explore(self) -> Explore:
        """Perturb, resample, or one of the two for each hyper."""
        perturb = Perturb(factors=self.factors)
        return PerturbOrResample(probability=self.resample_probability, perturb=perturb) if self.resample_probability else perturb
