"""Search methods by name. A new method is a new file and a line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rl_pbt.search.base import Method
from rl_pbt.search.budget import Plan
from rl_pbt.search.pbt import PBT, PBTConfig
from rl_pbt.search.random_search import RandomSearch
from rl_pbt.space import Space

__all__ = ["METHODS", "PBT", "Entry", "Method", "PBTConfig", "Plan", "RandomSearch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """How to make a method, and what `--methods help` says of it."""

    make: Callable[[Space, Plan, int, PBTConfig], Method]
    description: str


METHODS: dict[str, Entry] = {
    "pbt": Entry(
        make=lambda space, plan, root, config: PBT(space=space, plan=plan, root_seed=root, config=config),
        description="Population Based Training, truncation selection, perturb (Jaderberg 2017)",
    ),
    "random": Entry(
        make=lambda space, plan, root, _: RandomSearch(space=space, plan=plan, root_seed=root),
        description="random search, the same initial members and budget (Bergstra & Bengio 2012)",
    ),
}
