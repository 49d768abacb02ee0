"""How all tasks complete the settings that a user gave."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rl_pbt.errors import BadSetting
from rl_pbt.options import Settings
from rl_pbt.ranges import Searched, read_search
from rl_pbt.records import Hyper

SHARED_DEFAULTS: Settings = {
    "methods": ("pbt", "random"), "seeds": (0,), "population": 8, "anytime_tests": 4, "primary": None, "against": None,
}  # fmt: skip
INTERVALS = 20  # of a default run: as many as PB2 has, enough for schedules and few enough to evaluate after each


def completed(given: Settings, recorded: Settings | None, defaults: Settings | None = None) -> Settings:
    """The `given` settings over the `recorded` ones of a run or, for a new run, over a task's `defaults` and those of all tasks.

    Raises BadSetting if a new run has no budget.
    """
    base = dict(recorded) if recorded else _defaults(given, defaults or {})
    hypers, search = searched(given.get("search", {}), base["hypers"], base["search"])
    return {**base, **given, "search": search, "hypers": {**hypers, **given.get("hypers", {})}}


def _defaults(given: Settings, of_task: Settings) -> Settings:
    known = {**SHARED_DEFAULTS, **of_task, **given}
    if "budget" not in known:
        raise BadSetting("budget", "is missing: say how much each member may train for")
    population, budget = known["population"], known["budget"]
    return {
        **SHARED_DEFAULTS,
        "population": population,
        "interval": max(1, budget // INTERVALS),
        "group_size": half(population),
        "search": {},
        "hypers": {},
        "test_episodes": 1,
        **of_task,
    }


def blamed(name: str, given: Settings) -> str:
    """The setting that a value of a hyperparameter came from: `hypers`, or `search`, which may hold it too."""
    return "hypers" if name in given.get("hypers", {}) else "search"


def half(population: int) -> int:
    """A group size that gives two workers a group each."""
    return max(1, (population + 1) // 2)


def searched(given: Settings, hypers: Mapping[str, Hyper], search: Mapping[str, str]) -> tuple[dict[str, Hyper], dict[str, str]]:
    """Values and ranges of all hyperparameters: a range that is `given` is searched, a value is held fixed. Raises UserError."""
    held, ranges = dict(hypers), dict(search)
    for name, written in given.items():
        found = read_search(name, written, search.get(name))
        if isinstance(found, Searched):
            ranges[name] = found.text
        elif not isinstance(found.value, int | float | str):
            raise BadSetting("search", f"cannot hold {name} at {found.value!r}: give a range, a number or a word")
        else:
            held[name] = found.value
            ranges.pop(name, None)
    return held, ranges


def by_name(given: Settings, setting: str, name_of: Callable[[str], str]) -> Settings:
    """What is `given` by words of hyperparameters, by their names. Raises BadSetting for two words of the same one."""
    words: dict[str, str] = {}
    for word in given:
        name = name_of(word)
        if name in words:
            raise BadSetting(setting, f"names {name} twice, as {words[name]} and as {word}: name it once")
        words[name] = word
    return {name: given[word] for name, word in words.items()}
