"""Learning curves that were recorded on a grid of hyperparameters, as a task: methods are compared in seconds.

Modules: `recorded` (the file), `curves` (the model of what was not recorded), `following` (the task), `hpo_rl_bench` (tables of
another project). Nothing is trained, so torch is not loaded; `rl-pbt table` writes the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from rl_pbt.config import RunConfig
from rl_pbt.errors import BadSetting, UserError
from rl_pbt.options import Group, Settings, at_least_one, built, option
from rl_pbt.records import FinalTest, Hyper, Trial
from rl_pbt.space import Choice, Dimension, Space
from rl_pbt.tasks.base import Machine, Task, TaskType
from rl_pbt.tasks.completing import completed
from rl_pbt.tasks.table.curves import TableCurves
from rl_pbt.tasks.table.following import TableTask
from rl_pbt.tasks.table.recorded import Header, read_table
from rl_pbt.tasks.words import Words
from rl_pbt.text import score_text

TEST_EPISODES = 64  # they cost nothing


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TableOptions:
    """The table of a run. `header` is a copy of the table's, so that a report need not open the file.

    What identifies the file is its `digest`, so it may be moved, but a resumed run has the same table. Raises BadSetting.
    """

    table: str = option(
        help="file of recorded learning curves that members follow, written by `rl-pbt table`", trains=False, place=True
    )
    eval_episodes: int = option(
        8,
        help="episodes that a member is evaluated on after an interval",
        group=Group.BUDGET,
        varies=True,
        trains=False,
    )
    header: Settings = option(help="what the table is of", flag=False)
    digest: str = option(help="fingerprint of the table's file", flag=False, of_scores=True)

    def __post_init__(self) -> None:
        at_least_one(self, "eval_episodes")
        built(Header, self.header)


def header_of(options: Settings) -> Header:
    """The header of the table that a run is on."""
    return built(Header, options["header"])


@final
class TableType(TaskType):
    """`tasks.base.TaskType` of recorded learning curves."""

    options = TableOptions
    aliases: Mapping[str, str] = {"frames": "budget"}

    def complete(self, given: Settings, recorded: Settings | None) -> Settings:
        """The search space is that of the grid, or a part of it; the budget is at most what all curves reach. Raises UserError.

        In a run that has begun, numbers may lie outside the grid, as those of a schedule that is annealed do.
        """
        if "table" in given:
            given = {**given, "table": str(Path(given["table"]).absolute())}
        whole = completed(given, recorded, None if recorded else _defaults(given))
        _check(whole, header_of(whole), begun=recorded is not None)
        return whole

    def words(self, options: Settings) -> Words:
        """The words of what was recorded; but the test consists of draws, with seeds of their own."""
        return replace(built(Words, header_of(options).words), held_out="seeds")

    def title(self, options: Settings) -> str:
        """What was recorded."""
        return f"a table of {header_of(options).title}"

    def folder(self, options: Settings) -> str:
        """The file's name."""
        return f"table-{Path(options['table']).stem}"

    def evaluation(self, options: Settings) -> str:
        """How many draws, of what, and what they cost."""
        words = self.words(options)
        return (
            f"the mean of {options['eval_episodes']} draws with the mean and standard deviation of the recorded "
            f"{words.episodes}, which are charged as those were"
        )

    def cautions(self, options: Settings, trials: Sequence[Trial], tests: Sequence[FinalTest]) -> tuple[str, ...]:
        """That nothing was trained, and how well the model predicts a switch."""
        header = header_of(options)
        return (
            f"Nothing was trained: members follow curves that were recorded with {header.points:,} settings of constant "
            f"hyperparameters and {len(header.seeds)} seeds each, interpolated between those settings.",
            f"What a change of hyperparameters leads to is modelled: {_switches_in_words(header, self.words(options))}.",
        )

    def not_exported(self, options: Settings) -> str:
        """There is no policy."""
        return "nothing was trained: a table has curves and no policies"

    def make(self, config: RunConfig, machine: Machine) -> TableTask:
        table, digest = read_table(Path(config.task_options["table"]))
        if digest != config.task_options["digest"]:
            raise UserError(f"{config.task_options['table']} is not the table that this run began with: restore it from a copy")
        held = {name: value for name, value in config.hypers.items() if name in table.header.search}
        return TableTask(curves=TableCurves(table), eval_episodes=config.task_options["eval_episodes"], hypers=held)

    def describe(self, config: RunConfig, task: Task) -> list[tuple[str, str]]:
        header = header_of(config.task_options)
        return [
            ("task", f"{self.title(config.task_options)}: {header.points:,} points, {len(header.seeds)} seeds each"),
            ("evaluated on", f"{config.task_options['eval_episodes']} draws"),
            ("switches", _switches_in_words(header, self.words(config.task_options))),
        ]


def _defaults(given: Settings) -> dict[str, Any]:
    """Defaults of a new run: what its table says."""
    if "table" not in given:
        raise BadSetting("table", "is missing: say which file of learning curves, as `rl-pbt table` wrote it")
    table, digest = read_table(Path(given["table"]))
    header = table.header
    return {
        "search": dict(header.search),
        "hypers": _on(header),
        "budget": header.units,
        "interval": min(header.interval, given.get("budget", header.units)),
        "eval_episodes": header.episodes,
        "test_episodes": TEST_EPISODES,
        "header": header.to_json(),
        "digest": digest,
    }


def _on(header: Header) -> dict[str, Hyper]:
    """The table's hyperparameters, except hand-tuned ones that lie outside the grid: there are no curves for them."""
    known = header.space.dimensions
    return {name: value for name, value in header.hypers.items() if name not in known or _covers(known[name], [value])}


def _check(whole: Settings, header: Header, *, begun: bool) -> None:
    """Raises BadSetting for what the table has no curves for."""
    if whole["budget"] > header.units:
        raise BadSetting("budget", f"must be {header.units} or less, which all curves reach, but is {whole['budget']}")
    known = header.space.dimensions
    for name, dimension in Space.parse({name: str(text) for name, text in whole["search"].items()}).dimensions.items():
        if name not in known:
            raise BadSetting("search", f"cannot use {name}: the table has curves for {', '.join(known)}")
        between = isinstance(known[name], Choice) and not isinstance(
            dimension, Choice
        )  # two choices: nothing is known between them
        if between or not _covers(known[name], dimension.extremes):
            raise BadSetting("search", f"cannot use {whole['search'][name]} for {name}: the table has {header.search[name]}")
    for name, value in whole["hypers"].items():
        if name not in known and header.hypers.get(name) != value:
            raise BadSetting("hypers", f"cannot set {name}: the table has curves for {', '.join(known)}")
        if name in known and not _covers(known[name], [value], anywhere=begun):
            raise BadSetting("hypers", f"cannot use {value} for {name}: the table has {header.search[name]}")
    for name in known:
        if name not in whole["search"] and name not in whole["hypers"]:
            raise BadSetting("hypers", f"must have a value of {name}, which is not searched")


def _covers(hull: Dimension, values: Sequence[Hyper], *, anywhere: bool = False) -> bool:
    """Whether all values are among its choices, or are numbers within its bounds or, if `anywhere`, any numbers."""
    if isinstance(hull, Choice):
        return set(values) <= set(hull.choices)
    low, high = hull.bounds
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    return len(numbers) == len(values) and (anywhere or all(low <= value <= high for value in numbers))


def _switches_in_words(header: Header, words: Words) -> str:
    """How well a switch is predicted."""
    found = header.switches
    if found is None:
        return "the error of this model was not measured"
    steady = "" if found.steady is None else f", and {score_text(found.steady)} where nothing had changed"
    return (
        f"over the interval after each of {found.checked:,} measured changes the mean {words.score} is off by "
        f"{score_text(found.error)} (root mean square), against {score_text(found.unmoved)} for predicting no change{steady}"
    )


TYPE = TableType()
