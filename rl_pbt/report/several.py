"""Several runs side by side: which of them can be compared, and what their comparison shows.

A column is one method of one run. Columns are compared as the methods of one run are: fairly, or not at all. The seeds of two
runs are paired if the same seed means the same initial members and the same test; otherwise each column's seeds are a separate
sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import final

from rl_pbt.config import RunConfig
from rl_pbt.errors import Unfinished, UserError, plain_text
from rl_pbt.options import places_of
from rl_pbt.records import JSON, Cost
from rl_pbt.report.chance import Chance, Samples, chances
from rl_pbt.report.comparison import budgets_differ, unequal_budgets, without_a_test
from rl_pbt.report.evidence import Evidence, Histories, read_evidence, returns_of, total_cost
from rl_pbt.report.statistics import Estimate, ReturnsBySeed, difference_of, iqm_of, mean_of, unpaired_difference_of
from rl_pbt.report.verdict import verdict_of
from rl_pbt.store.run import RunFolder
from rl_pbt.tasks.base import Words
from rl_pbt.tasks.registry import task_type

LONGEST_NAME = 40  # characters of a run's name
MOST_DEEP = 3  # levels of folders below a suite in which its runs may lie
# The settings that must be equal for the same seed to mean the same initial members and the same test.
OF_SEEDS = ("task", "seeds", "population", "group_size", "search", "hypers", "test_episodes")
# Settings of a task that decide what a score means; those that concern only the agent may differ.
OF_SCORES = ("frame_skip", "max_episode_frames", "unit", "score", "digest")
OF_AGENTS = ("backend", "frame_stack", "stack_num", "vectorization_mode")  # among the options of an environment


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


def compare(folders: Sequence[Path]) -> list[Group]:
    """The comparison of all these runs and suites of runs; with a suite among them, one for each environment.

    Raises UserError, one line, for runs that cannot be compared, and Unfinished for one that has not finished.
    """
    found = [_runs_in(folder) for folder in folders]
    runs = [run for several in found for run in several]
    places = [run.folder.resolve() for run in runs]
    if twice := [run for run, place in zip(runs, places, strict=True) if places.count(place) > 1]:
        raise UserError(f"{twice[0].folder} is named twice: name each run once")
    evidence = {run.folder: _finished(run) for run in runs}
    suites = any(not RunFolder(folder).begun for folder in folders)
    groups: dict[str, dict[Path, Evidence]] = {}
    for folder, one in evidence.items():
        groups.setdefault(_what_is_scored(one), {})[folder] = one
    if len(groups) > 1 and not suites:
        first, second, *_ = groups
        raise UserError(f"these runs are of {first} and of {second}: compare runs of the same one, or name a folder of runs")
    return _judged([_group(title, members) for title, members in groups.items()])


def _runs_in(folder: Path) -> list[RunFolder]:
    """The run in a folder, or the runs of a suite. Raises UserError if there is none."""
    if RunFolder(folder).begun:
        return [RunFolder(folder)]
    for depth in range(1, MOST_DEEP + 1):
        if found := sorted(folder.glob("/".join(["*"] * depth + ["manifest.json"]))):
            return [RunFolder(path.parent) for path in found]
    raise UserError(f"{folder} is neither a run nor a folder of runs: it holds no manifest.json")


def _finished(run: RunFolder) -> Evidence:
    evidence = read_evidence(run)
    if evidence.status != "finished":
        command = "bench" if "env" in evidence.config.task_options else "tune"
        raise Unfinished(run.folder, evidence.status, command)
    return evidence


def _what_is_scored(evidence: Evidence) -> str:
    """The environment, whichever agent learns it; for tasks without one, the title of what is trained."""
    env = evidence.config.task_options.get("env")
    return evidence.title if env is None else plain_text(str(env), LONGEST_NAME * 2)


def _group(title: str, members: Mapping[Path, Evidence]) -> Group:
    (first_folder, first), *others = members.items()
    for folder, other in others:
        _check_alike(first_folder, first, folder, other)
    names = dict(zip(members, short_names(list(members)), strict=True))
    methods = {evidence.config.methods for evidence in members.values()}
    alone = len(methods) == 1 and len(first.config.methods) == 1
    columns = tuple(
        Column(label=_label(names[folder], method, alone, len(members)), folder=folder, method=method, evidence=evidence)
        for folder, evidence in members.items()
        for method in evidence.config.methods
    )
    if len(columns) < 2:
        raise UserError(f"{first_folder} is the only run of {title}, with one method: name another run to compare it with")
    return Group(title=title, columns=columns)


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


def _check_alike(first_folder: Path, first: Evidence, folder: Path, other: Evidence) -> None:
    """Raises UserError if the scores of the two runs do not mean the same, or their budgets differ."""
    one, two = first.config, other.config
    budgets = [config.population * config.budget for config in (one, two)]
    if budgets_differ(*budgets):
        raise UserError(
            f"the budgets differ: {first_folder} has {budgets[0]:,} {first.words.units} a seed and {folder} {budgets[1]:,}; "
            "run both with the same population and budget"
        )
    if first.words != other.words:
        raise UserError(f"{first_folder} and {folder} name their units or scores differently: compare runs of one task")
    if difference := _scored_differently(one, two):
        raise UserError(f"{first_folder} and {folder} are not scored alike ({difference}): compare runs that are")


def _scored_differently(one: RunConfig, two: RunConfig) -> str | None:
    """The first setting, among those that both runs have, that gives their scores different meanings."""
    ours, theirs = _of_scores(one), _of_scores(two)
    for name in ours:
        if name in theirs and ours[name] != theirs[name]:
            return f"{name}: {ours[name]}, not {theirs[name]}"
    return None


def _of_scores(config: RunConfig) -> dict[str, JSON]:
    options = config.task_options
    environment = options.get("env_options", {})
    found = {name: options[name] for name in OF_SCORES if name in options}
    return found | {name: value for name, value in environment.items() if name not in OF_AGENTS}


def _judged(groups: Sequence[Group]) -> list[Group]:
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
