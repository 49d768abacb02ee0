"""Which runs can be compared with one another: those of one environment or other task, alike in all that a score depends on.

A run that is named itself must be among them. Of a folder of runs, those that cannot be compared with most others are left out.
No statistics are loaded here, so a refusal is quick.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, final

from rl_pbt.config import RunConfig
from rl_pbt.errors import Unfinished, UserError, plain_text
from rl_pbt.named_code import code_in_words
from rl_pbt.report.evidence import Evidence, budgets_differ, read_evidence
from rl_pbt.store.run import RunFolder
from rl_pbt.tasks.registry import task_type
from rl_pbt.tasks.words import LONGEST_WORD

Members: TypeAlias = Mapping[Path, Evidence]  # runs by their folders
LONGEST_NAME = 40  # characters of a run's name
MOST_DEEP = 3  # levels of folders below a suite in which its runs may lie


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """The runs that can be compared, by what is scored in them, and why each of the others cannot."""

    alike: Mapping[str, Members]
    refusals: dict[Path, UserError]


def gather(folders: Sequence[Path]) -> Gathered:
    """The runs in these folders, each of which is a run or holds runs.

    Raises UserError, one line, for a folder that is neither, for a run that is named twice or cannot be compared, for runs of
    different environments or tasks if each is named itself, and where nothing is left. Raises Unfinished for a run that is named
    itself and has not finished.
    """
    runs = [run for folder in folders for run in _runs_in(folder)]
    places = [run.folder.resolve() for run in runs]
    if twice := [run for run, place in zip(runs, places, strict=True) if places.count(place) > 1]:
        raise UserError(f"{twice[0].folder} is named twice: name each run once")
    named = frozenset(folder for folder in folders if RunFolder(folder).begun)
    evidence, refusals = _finished_among(runs)
    by_title: dict[str, dict[Path, Evidence]] = {}
    for folder, one in evidence.items():
        by_title.setdefault(_what_is_scored(one), {})[folder] = one
    if len(by_title) > 1 and len(named) == len(folders):
        first, second, *_ = by_title
        raise UserError(f"these runs are of {first} and of {second}: compare runs of the same one, or name a folder of runs")
    alike: dict[str, Members] = {}
    for title, members in by_title.items():
        several, unlike = _most_alike(members)
        refusals |= unlike
        if alone := _alone(title, several):
            refusals |= alone
        else:
            alike[title] = several
    for folder, refusal in refusals.items():
        if not alike or folder in named:
            raise refusal
    return Gathered(alike=alike, refusals=refusals)


def _runs_in(folder: Path) -> list[RunFolder]:
    """The run in a folder, or the runs of a suite. Raises UserError if there is none."""
    if RunFolder(folder).begun:
        return [RunFolder(folder)]
    depths = ["/".join(["*"] * depth) for depth in range(1, MOST_DEEP + 1)]
    found = sorted(path.parent for depth in depths for path in folder.glob(f"{depth}/manifest.json"))
    if runs := [RunFolder(path) for path in found if not any(other in path.parents for other in found)]:
        return runs
    raise UserError(f"{folder} is neither a run nor a folder of runs: it holds no manifest.json")


def _finished_among(runs: Sequence[RunFolder]) -> tuple[dict[Path, Evidence], dict[Path, UserError]]:
    """What the finished runs hold, and for each of the others why it cannot be compared."""
    evidence: dict[Path, Evidence] = {}
    refusals: dict[Path, UserError] = {}
    for run in runs:
        try:
            evidence[run.folder] = _finished(run)
        except UserError as refusal:
            refusals[run.folder] = refusal
    return evidence, refusals


def _finished(run: RunFolder) -> Evidence:
    evidence = read_evidence(run)
    if evidence.status != "finished":
        command = task_type(evidence.config.task).started_by
        raise Unfinished(run.folder, evidence.status, command, code_in_words(evidence.config))
    return evidence


def _what_is_scored(evidence: Evidence) -> str:
    """The environment, whichever agent learns it; for tasks without one, what is trained."""
    config = evidence.config
    return plain_text(task_type(config.task).scored_on(config.task_options), LONGEST_WORD)


def _most_alike(members: Members) -> tuple[Members, dict[Path, UserError]]:
    """The largest part of the runs that can be compared with one of them, which comes first; and why each other one cannot."""
    by_first = [
        {folder: refusal for folder, other in members.items() if (refusal := _unlike(first, members[first], folder, other))}
        for first in members
    ]
    first, unlike = min(zip(members, by_first, strict=True), key=lambda pair: len(pair[1]))
    return {first: members[first], **{folder: one for folder, one in members.items() if folder not in unlike}}, unlike


def _alone(title: str, members: Members) -> dict[Path, UserError]:
    """Why a single run with a single method cannot be compared; empty for more."""
    return {
        folder: UserError(f"{folder} is the only run of {title}, with one method: name another run to compare it with")
        for folder, evidence in members.items()
        if len(members) == len(evidence.config.methods) == 1
    }


def _unlike(first_folder: Path, first: Evidence, folder: Path, other: Evidence) -> UserError | None:
    """Why two runs cannot be compared: their scores do not mean the same, or their budgets differ; or None."""
    one, two = first.config, other.config
    budgets = [config.population * config.budget for config in (one, two)]
    if budgets_differ(*budgets):
        return UserError(
            f"the budgets differ: {first_folder} has {budgets[0]:,} {first.words.units} a seed and {folder} {budgets[1]:,}; "
            "run both with the same population and budget"
        )
    if first.words != other.words:
        return UserError(f"{first_folder} and {folder} name their units or scores differently: compare runs of one task")
    if difference := _scored_differently(one, two):
        return UserError(f"{first_folder} and {folder} are not scored alike ({difference}): compare runs that are")
    return None


def _scored_differently(one: RunConfig, two: RunConfig) -> str | None:
    """The first setting, among those that both runs have, that gives their scores different meanings."""
    ours, theirs = (task_type(config.task).scoring(config.task_options) for config in (one, two))
    differing = (name for name, value in ours.items() if name in theirs and theirs[name] != value)
    return next((f"{name}: {ours[name]}, not {theirs[name]}" for name in differing), None)
