"""What a search method is made from: the problem, which is the same for all methods, and its own options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

from rl_pbt.records import Hyper
from rl_pbt.search.budget import Plan
from rl_pbt.space import Space


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """The hyperparameters to search, the budget for it, and the seed of every draw.

    `published` are hand-tuned values: some searched hyperparameters may be missing, and others that are not searched may be
    there.
    """

    space: Space
    plan: Plan
    root_seed: int
    published: Mapping[str, Hyper] = field(default_factory=dict)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class NoOptions:
    """The options of a method that has none."""
