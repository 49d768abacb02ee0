"""The configuration of a run: made once, frozen, and compared when the run is resumed.

It holds the settings that every search has, the name of the task, and the options of the task and of the methods. Users see one
flat list of settings; `making.configure` sorts them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rl_pbt import options
from rl_pbt.errors import BadSetting, UserError, near_names, plain_text
from rl_pbt.options import Group, Settings, option
from rl_pbt.records import JSON, Fields, Hyper, is_score
from rl_pbt.space import Space

MOST = 1_000_000  # of anything that is created or run as often as a setting says
MOST_TESTS = 1000  # besides the final one: each keeps a checkpoint until the end
TASKS_HERE = "{tasks}"  # stands for the names in the registry of tasks, which lies above this module
LONGEST_NAME = 100  # characters, of a hyperparameter's name


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """Everything that a result depends on, and nothing else: not the number of workers, not the folder.

    `hypers` maps hyperparameters to values: one that is not searched is held at its value, and for one that is searched it is the
    hand-tuned value. `task_options` and `method_options` name every option, so that a later change of a default does not change
    existing runs. Raises BadSetting for invalid values.
    """

    task: str = option(
        help=f"what to train: {TASKS_HERE}, your own module:Class, or command, followed by -- and a program",
        metavar="NAME",
    )
    methods: tuple[str, ...] = option(help="search methods to compare; 'help' lists them")
    seeds: tuple[int, ...] = option(help="root seeds; each is one run of every method")
    population: int = option(
        help="number of members (default: 8, except where an environment has its own)", group=Group.BUDGET, varies=True
    )
    budget: int = option(
        help="budget of each member, evaluation included, in units of the task (200000, 200k, 1.5M)",
        group=Group.BUDGET,
        metavar="N",
    )
    interval: int = option(help="units between two chances to exploit", group=Group.BUDGET)
    group_size: int = option(
        help="members trained together in one job; recorded, since it may change the last digits of results", group=Group.MACHINE
    )
    search: Mapping[str, Hyper] = option(
        help="ranges of hyperparameters, as in lr=log:1e-5:1e-2; lr=7e-4 fixes the value",
        group=Group.SEARCH,
        metavar="NAME=RANGE",
    )
    hypers: Mapping[str, Hyper] = option(help="hand-tuned values of hyperparameters, searched or not", group=Group.SEARCH)
    test_episodes: int = option(
        help="episodes that the chosen member is tested on, with seeds not used for selection", group=Group.BUDGET
    )
    anytime_tests: int = option(
        0, help="extra tests of the best member so far, before the end, for the anytime curve; not charged to the budget"
    )
    primary: str | None = option(
        None,
        help="the one comparison declared before the run, as in pbt:random: it is tested alone, the others are corrected",
        metavar="FIRST:SECOND",
    )
    against: str | None = option(
        None, help="the method that each of the others is compared with (default: the first)", metavar="METHOD"
    )
    task_options: Settings = option(factory=dict, help="options of the task", flag=False)
    method_options: Settings = option(factory=dict, help="options of the methods", flag=False)

    def __post_init__(self) -> None:
        check_extent(
            methods=self.methods,
            seeds=self.seeds,
            population=self.population,
            group_size=self.group_size,
            test_episodes=self.test_episodes,
        )
        if not 0 <= self.anytime_tests <= MOST_TESTS:
            raise BadSetting("anytime_tests", f"must be from 0 to {MOST_TESTS}, but is {self.anytime_tests}")
        check_contrasts(self.methods, self.primary, self.against)
        for name in (*self.search, *self.hypers):
            if not name or plain_text(name, LONGEST_NAME) != name:
                raise BadSetting("search", f"cannot name a hyperparameter {name!r:.120}: write a word of one line")

    def to_json(self) -> dict[str, JSON]:
        """Plain JSON that `from_json` reads."""
        return options.plain(self)

    @classmethod
    def from_json(cls, fields: Fields) -> RunConfig:
        """The configuration that `to_json` wrote. Raises UserError for one of another version."""
        try:
            return options.built(cls, fields)
        except BadSetting as error:
            raise UserError(f"this run was made by another version ({error}): use that one, or start a new run") from None

    def difference(self, other: RunConfig) -> list[str]:
        """`name: ours, not theirs` for each field, or entry of a field, that differs."""
        ours, theirs = _flat(self.to_json()), _flat(other.to_json())
        names = [*ours, *(name for name in theirs if name not in ours)]
        return [
            f"{name}: {ours.get(name, 'none')}, not {theirs.get(name, 'none')}"
            for name in names
            if (name in ours, ours.get(name)) != (name in theirs, theirs.get(name))
        ]

    def only_adds_to(self, written: Fields) -> bool:
        """Whether it has all that an earlier record of it says, except for the budget; it may have later options too."""
        ours = _flat({**self.to_json(), "budget": written.get("budget")})
        return all(name in ours and ours[name] == value for name, value in _flat(written).items())

    @property
    def groups(self) -> int:
        """Into how many jobs a generation of the population is cut: as many workers can be busy with one search."""
        return -(-self.population // self.group_size)

    @property
    def jobs_at_once(self) -> int:
        """How many workers can be busy at once: with every group of every method on every seed."""
        return self.groups * len(self.methods) * len(self.seeds)

    @property
    def primary_contrast(self) -> tuple[str, str] | None:
        """The two methods of the primary contrast; None if none was declared."""
        if self.primary is None:
            return None
        first, second = self.primary.split(":")
        return first, second

    @property
    def reference(self) -> str:
        """The method that the others are compared with."""
        return self.against or self.methods[0]

    @property
    def space(self) -> Space:
        """The search space. Raises UserError for an invalid range."""
        space = Space.parse({name: str(text) for name, text in self.search.items()})
        for name, dimension in space.dimensions.items():
            if not all(is_score(value) for value in dimension.extremes if isinstance(value, int | float)):
                raise BadSetting("search", f"cannot use {self.search[name]!r:.100} for {name}: its bounds are too far away")
        return space


def check_extent(*, methods: Sequence[str], seeds: Sequence[int], population: int, group_size: int, test_episodes: int) -> None:
    """Raises BadSetting for values of these settings that no run can have, whatever its task."""
    if not seeds or min(seeds) < 0:
        raise BadSetting("seeds", "must be whole numbers from 0 on")
    for name, several in (("seeds", seeds), ("methods", methods)):
        if len(set(several)) != len(several):
            raise BadSetting(name, "must not name one twice")
    options.check_positive("group_size", group_size)
    options.check_positive("test_episodes", test_episodes)
    for name, number in (("population", population), ("group_size", group_size), ("test_episodes", test_episodes)):
        if number > MOST:
            raise BadSetting(name, f"must be {MOST} or less, but is {number}")


def check_contrasts(methods: Sequence[str], primary: str | None, against: str | None) -> None:
    """Raises BadSetting unless `against` is one of the methods and `primary` names two different ones; None is allowed."""
    if primary is not None:
        pair = primary.split(":")
        if len(pair) != 2 or pair[0] == pair[1] or not set(pair) <= set(methods):
            known = ", ".join(methods)
            raise BadSetting("primary", f"must be two of the methods ({known}), as in pbt:random, but is {primary!r:.100}")
    if against is not None and against not in methods:
        raise BadSetting("against", f"must be one of the methods, but is {against!r:.100}: {near_names(against, methods)}")


def _flat(fields: Mapping[str, JSON]) -> dict[str, JSON]:
    """The fields, with each entry of a mapping as a field of its own, `field.entry`."""
    flat: dict[str, JSON] = {}
    for name, value in fields.items():
        flat |= {f"{name}.{entry}": text for entry, text in value.items()} if isinstance(value, dict) else {name: value}
    return flat
