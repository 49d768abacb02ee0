"""Several runs side by side: what the comparison of those that can be compared shows.

A column is one method of one run. Columns are compared as the methods of one run are: fairly, or not at all. The seeds of two
runs are paired if the same seed means the same initial members and the same test; otherwise each column's seeds are a separate
sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import final

from rl_pbt.config import RunConfig
from rl_pbt.errors import plain_text
from rl_pbt.options import places_of
from rl_pbt.records import JSON, Cost
from rl_pbt.report.chance import Chance, Samples, chances
from rl_pbt.report.comparison import unequal_budgets, without_a_test
from rl_pbt.report.evidence import Evidence, Histories, returns_of, total_cost
from rl_pbt.report.gathering import LONGEST_NAME, Gathered, Members, gather
from rl_pbt.report.statistics import Estimate, ReturnsBySeed, difference_of, iqm_of, mean_of, unpaired_difference_of
from rl_pbt.report.verdict import verdict_of
from rl_pbt.tasks.registry import task_type
from rl_pbt.tasks.words import Words

# The settings that must be equal for the same seed to mean the same initial members and the same test.
OF_SEEDS = ("task", "seeds", "population", "group_size", "search", "hypers", "test_episodes")


@final
@dataclass(frozen=True, kw_only=True)
class Column:
    """One method of one run, and its label."""

    label: str
    folder: Path
    method: str
    evidence: Evidence

    @property
    def by_seed(self) -> Histories:
        """The content of its ledgers, by seed."""
        return self.evidence.histories[self.method]

    @property
    def returns(self) -> ReturnsBySeed:
        """Test scores of the winner of each seed."""
        return returns_of(self.by_seed)

    @property
    def mean(self) -> Estimate | None:
        """Mean test score; None where nothing was tested."""
        return mean_of(self.returns) if self.returns else None

    @property
    def iqm(self) -> Estimate | None:
        """Interquartile mean of the test score; None where nothing was tested."""
        return iqm_of(self.returns) if self.returns else None

    @property
    def cost(self) -> Cost:
        """The cost of all seeds together."""
        return total_cost(self.by_seed)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The first column against another. `refused` says why they cannot be compared; then there are no numbers."""

    labels: tuple[str, str]
    paired: bool
    refused: str | None
    verdict: str
    difference: Estimate | None = None
    p_value: float | None = None
    corrected: float | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Columns that were scored on the same environment or other task."""

    title: str
    columns: tuple[Column, ...]
    pairs: tuple[Pair, ...] = ()

    @property
    def words(self) -> Words:
        """The task's nouns."""
        return self.columns[0].evidence.words


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A group for each environment or other task, and a sentence on each run of a folder that is in none of them."""

    groups: tuple[Group, ...]
    left_out: tuple[str, ...] = ()


def compare(folders: Sequence[Path]) -> Compared:
    """The comparison of all these runs and folders of runs; with a folder among them, one for each environment.

    Raises UserError, one line, if nothing can be compared or a run that is named itself cannot, and Unfinished if that has not
    finished.
    """
    return compared(gather(folders))


def compared(gathered: Gathered) -> Compared:
    """The comparison of runs that can be compared."""
    groups = [Group(title=title, columns=_columns(members)) for title, members in gathered.alike.items()]
    return Compared(groups=tuple(_compared(groups)), left_out=tuple(map(str, gathered.refusals.values())))


def _columns(members: Members) -> tuple[Column, ...]:
    """A column for each method of each run."""
    names = dict(zip(members, short_names(list(members)), strict=True))
    methods = {evidence.config.methods for evidence in members.values()}
    alone = len(methods) == 1 and len(next(iter(methods))) == 1
    return tuple(
        Column(label=_label(names[folder], method, alone, len(members)), folder=folder, method=method, evidence=evidence)
        for folder, evidence in members.items()
        for method in evidence.config.methods
    )


def _label(name: str, method: str, alone: bool, runs: int) -> str:
    return method if runs == 1 else name if alone else f"{name}: {method}"


def short_names(folders: Sequence[Path]) -> list[str]:
    """As much of the end of each path as tells it from the others, on one line; numbered if cutting them makes them equal."""
    parts = [folder.absolute().parts for folder in folders]
    count = 1
    while len({one[-count:] for one in parts}) < len(parts):
        count += 1
    names = [plain_text("/".join(one[-count:]), LONGEST_NAME) for one in parts]
    return names if len(set(names)) == len(names) else [f"{name} ({place})" for place, name in enumerate(names, 1)]


def _compared(groups: Sequence[Group]) -> list[Group]:
    """The groups, with the first column of each compared with the others; p values are corrected together over all groups."""
    refusals = {(g, c): _refusal(group.columns[0], column) for g, group in enumerate(groups) for c, column in _others(group)}
    fair = [place for place, refusal in refusals.items() if refusal is None]
    found = chances({(g, c): _samples(groups[g].columns[0], groups[g].columns[c]) for g, c in fair}, "all")
    return [
        Group(
            title=group.title,
            columns=group.columns,
            pairs=tuple(_pair(group, column, refusals[g, c], found.get((g, c))) for c, column in _others(group)),
        )
        for g, group in enumerate(groups)
    ]


def _others(group: Group) -> list[tuple[int, Column]]:
    return list(enumerate(group.columns))[1:]


def _in_a_sentence(column: Column) -> str:
    """The label, in quotation marks unless it is just the method's name."""
    return f'"{column.label}"' if column.label != column.method else column.label


def _refusal(first: Column, second: Column) -> str | None:
    for column in (first, second):
        if untested := without_a_test(_in_a_sentence(column), column.by_seed):
            return untested
    one, other = (round(column.cost.units / len(column.by_seed)) for column in (first, second))
    return unequal_budgets((_in_a_sentence(first), _in_a_sentence(second)), one, other, first.evidence.words)


def are_paired(first: Column, second: Column) -> bool:
    """Whether the same seed means the same initial members and the same test for both columns."""
    one, two = first.evidence.config, second.evidence.config
    return all(getattr(one, name) == getattr(two, name) for name in OF_SEEDS) and _of_training(one) == _of_training(two)


def _of_training(config: RunConfig) -> dict[str, JSON]:
    places = places_of(task_type(config.task).options)  # paths of files, whose digests are among the settings
    return {name: value for name, value in config.task_options.items() if name not in places}


def _samples(first: Column, second: Column) -> Samples:
    return Samples(first=first.returns, second=second.returns, paired=are_paired(first, second))


def _pair(group: Group, second: Column, refusal: str | None, chance: Chance | None) -> Pair:
    first, paired = group.columns[0], are_paired(group.columns[0], second)
    labels = (_in_a_sentence(first), _in_a_sentence(second))
    if chance is None:
        return Pair(labels=labels, paired=paired, refused=refusal, verdict=f"No comparison: {refusal}.")
    difference = (difference_of if paired else unpaired_difference_of)(first.returns, second.returns)
    return Pair(
        labels=labels,
        paired=paired,
        refused=None,
        verdict=verdict_of(labels, difference, chance, group.words),
        difference=difference,
        p_value=chance.p_value,
        corrected=chance.corrected,
    )


def settings_that_differ(group: Group) -> list[tuple[str, str]]:
    """(labels of two neighbouring runs, settings in which the second differs), including methods and seeds."""
    runs = {column.folder: column for column in reversed(group.columns)}
    ordered = sorted(runs.values(), key=group.columns.index)
    return [
        (f"{one.label} and {other.label}", "; ".join(plain_text(text) for text in difference))
        for one, other in pairwise(ordered)
        if (difference := one.evidence.config.difference(other.evidence.config))
    ]
