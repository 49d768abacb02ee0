"""Which runs are compared with one another, and whether they can be; loads no statistics, so a refusal is quick."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from rl_pbt.config import RunConfig
from rl_pbt.errors import Unfinished, UserError, plain_text
from rl_pbt.records import JSON
from rl_pbt.report.evidence import Evidence, budgets_differ, read_evidence
from rl_pbt.store.run import RunFolder

Gathered: TypeAlias = Mapping[str, Mapping[Path, Evidence]]  # by what was scored, then by the folder of the run
LONGEST_NAME = 40  # characters of a run's name
MOST_DEEP = 3  # levels of folders below a suite in which its runs may lie
# Settings of a task that decide what a score means; those that concern only the agent may differ.
OF_SCORES = ("frame_skip", "max_episode_frames", "unit", "score", "digest")
OF_AGENTS = ("backend", "frame_stack", "stack_num", "vectorization_mode")  # among the options of an environment


def gathered(folders: Sequence[Path]) -> Gathered:
    """All these runs and suites of runs, those of one environment together.

    Raises UserError, one line, for runs that cannot be compared, and Unfinished for one that has not finished.
    """
    runs = [run for folder in folders for run in _runs_in(folder)]
    places = [run.folder.resolve() for run in runs]
    if twice := [run for run, place in zip(runs, places, strict=True) if places.count(place) > 1]:
        raise UserError(f"{twice[0].folder} is named twice: name each run once")
    suites = any(not RunFolder(folder).begun for folder in folders)
    groups: dict[str, dict[Path, Evidence]] = {}
    for run in runs:
        evidence = _finished(run)
        groups.setdefault(_what_is_scored(evidence), {})[run.folder] = evidence
    if len(groups) > 1 and not suites:
        first, second, *_ = groups
        raise UserError(f"these runs are of {first} and of {second}: compare runs of the same one, or name a folder of runs")
    for title, members in groups.items():
        _check_group(title, members)
    return groups


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


def _check_group(title: str, members: Mapping[Path, Evidence]) -> None:
    """Raises UserError unless there is something to compare, and its scores mean the same."""
    (first_folder, first), *others = members.items()
    for folder, other in others:
        _check_alike(first_folder, first, folder, other)
    if not others and len(first.config.methods) < 2:
        raise UserError(f"{first_folder} is the only run of {title}, with one method: name another run to compare it with")


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
