"""What tasks do alike to complete the settings that a user gave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rl_pbt.errors import BadSetting
from rl_pbt.records import Hyper
from rl_pbt.space import parse_dimension, range_or_value

INTERVALS = 20  # of a default run: PB2's count, enough for schedules and few enough to evaluate in


def completed(
    given: Mapping[str, Any], recorded: Mapping[str, Any] | None, defaults: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """`given` over the `recorded` settings of a run or, for a new one, over a task's `defaults` and those of all tasks.

    Raises BadSetting where a new run has no budget.
    """
    base = dict(recorded) if recorded else _defaults(given, defaults or {})
    hypers, search = searched(given.get("search", {}), base["hypers"], base["search"])
    return {**base, **given, "search": search, "hypers": {**hypers, **given.get("hypers", {})}}


def _defaults(given: Mapping[str, Any], of_task: Mapping[str, Any]) -> dict[str, Any]:
    known = {**of_task, **given}
    if "budget" not in known:
        raise BadSetting("budget", "is missing: say how much each member may train for")
    population, budget = known.get("population", 8), known["budget"]
    return {
        "methods": ("pbt", "random"),
        "seeds": (0,),
        "population": population,
        "interval": max(1, budget // INTERVALS),
        "group_size": max(1, (population + 1) // 2),
        "search": {},
        "hypers": {},
        "test_episodes": 1,
        **of_task,
    }


def searched(
    given: Mapping[str, Any], hypers: Mapping[str, Hyper], search: Mapping[str, str]
) -> tuple[dict[str, Hyper], dict[str, str]]:
    """Values and ranges of all hyperparameters: a range that is `given` is searched, a value is held. Raises UserError."""
    held, ranges = dict(hypers), dict(search)
    for name, said in given.items():
        value = range_or_value(said)
        if isinstance(value, str) and ":" in value:
            parse_dimension(value)
            ranges[name] = value
        elif isinstance(value, bool) or not isinstance(value, int | float | str):
            raise BadSetting("search", f"cannot hold {name} at {value!r}: give a range, a number or a word")
        else:
            held[name] = value
            ranges.pop(name, None)
    return held, ranges
