"""Replaying the hyperparameter schedule that a finished run found: the method `replay:RUN`.

A schedule is read from one folder and recorded in another, and either may come from somebody else. So it is checked as strictly
as the command line before anything is trained with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

from rl_pbt.config import RunConfig
from rl_pbt.errors import BadSetting, UserError
from rl_pbt.options import LARGEST, Settings, about, built, fields_of, with_entries
from rl_pbt.recorded import history_of, manifest_of, wrong_hypers
from rl_pbt.records import Hyper, Hypers
from rl_pbt.search.replay import Schedules, StageRecord
from rl_pbt.store.descent import line_of_descent
from rl_pbt.store.history import History
from rl_pbt.store.run import RunFolder
from rl_pbt.tasks.registry import task_type

PREFIX = "replay:"
SCHEDULE, FINAL, RANDOM = "replay-schedule", "replay-final", "replay-random"
RANDOM_SEARCH = "random"
LONGEST_NUMBER = 20  # digits, of a seed


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    """A `StageRecord` that checks itself."""

    units: int
    hypers: Hypers

    def __post_init__(self) -> None:
        if self.units < 1:
            raise BadSetting("units", f"must be 1 or more, but is {self.units}")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Schedules:
    """`Schedules` that check themselves."""

    run: str
    method: str
    members: int
    setting: Settings
    seeds: Mapping[str, Mapping[str, tuple[_Stage, ...]]]

    def __post_init__(self) -> None:
        if not 0 <= self.members < LARGEST:
            raise BadSetting("members", f"must be 0 or more, but is {self.members}")
        for seed, by_method in self.seeds.items():
            if not (seed.isascii() and seed.isdecimal() and len(seed) <= LONGEST_NUMBER):
                raise BadSetting("seeds", f"cannot have a seed {seed!r:.100}")
            for method, stages in by_method.items():
                if not stages or sum(stage.units for stage in stages) > LARGEST:
                    raise BadSetting("seeds", f"have no stages of {method!r:.100}, or too many units")


def read_schedules(folder: Path) -> Schedules:
    """What the configuration of a replaying run records: by seed of the run in `folder`, the stages that each method replays.

    `replay-schedule` follows the line of descent of the first method's winner, `replay-final` holds the hyperparameters at the
    end of that line, and `replay-random` those of random search's winner, if the run has random search. Raises UserError for a
    run that is not finished or has no winner.
    """
    run = RunFolder(folder)
    manifest = manifest_of(run)
    if run.status != "finished":
        raise UserError(f"{folder} is {run.status}: resume and finish it before you replay it")
    config = manifest.config
    return {
        "run": str(folder),
        "method": config.methods[0],
        "members": 1 + max(_members(run, config), default=-1),
        "setting": setting_of(config),
        "seeds": {str(seed): _schedules(run, config, seed) for seed in config.seeds},
    }


def _members(run: RunFolder, config: RunConfig) -> Iterator[int]:
    """The member numbers that any method has used."""
    for method in config.methods:
        for seed in config.seeds:
            yield from (trial.proposal.member for trial in history_of(run, config, method, seed).trials)


def _schedules(run: RunFolder, config: RunConfig, seed: int) -> dict[str, list[StageRecord]]:
    stages = _line(history_of(run, config, config.methods[0], seed), run, config.methods[0], seed)
    units = sum(stage["units"] for stage in stages)
    found: dict[str, list[StageRecord]] = {SCHEDULE: stages, FINAL: [{"units": units, "hypers": stages[-1]["hypers"]}]}
    if RANDOM_SEARCH in config.methods:
        found[RANDOM] = _line(history_of(run, config, RANDOM_SEARCH, seed), run, RANDOM_SEARCH, seed)
    return found


def _line(history: History, run: RunFolder, method: str, seed: int) -> list[StageRecord]:
    if history.chosen is None:
        raise UserError(f"{run.folder} has no winner of {method} on seed {seed}: there is nothing to replay")
    proposals = [history.by_id[ancestor].proposal for ancestor in line_of_descent(history, history.chosen)]
    return [{"units": proposal.units, "hypers": dict(proposal.hypers)} for proposal in proposals]


def setting_of(config: RunConfig) -> Settings:
    """The settings that must be equal for a schedule to keep its meaning: all but the budget, the seeds and the search method."""
    held = {name: value for name, value in config.hypers.items() if name not in config.search}
    kind = task_type(config.task).options
    described, whole = fields_of(kind), with_entries(kind, config.task_options)
    of_training = {n: value for n, value in whole.items() if about(described[n]).trains}
    return {"task": config.task, "searched": sorted(config.search), "held": held, **of_training}


def replaying(replay: Schedules) -> list[str]:
    """The methods that have stages to replay on every one of its seeds."""
    return [name for name in (SCHEDULE, FINAL, RANDOM) if all(name in by_method for by_method in replay["seeds"].values())]


def check_replay(config: RunConfig) -> None:
    """Raises UserError if the configuration replays a run that it does not fit, or schedules that are invalid."""
    replay = config.method_options.get("replay")
    if not replay:
        return
    _check_setting(config, replay)
    try:
        schedules = built(_Schedules, replay)
        stages = [stage for by_method in schedules.seeds.values() for several in by_method.values() for stage in several]
        _check_hypers(config, [stage.hypers for stage in stages])
    except BadSetting as error:
        raise UserError(f"the schedules of {replay.get('run')} cannot be replayed: {error}") from None


def _check_hypers(config: RunConfig, schedule: Iterable[Hypers]) -> None:
    """Raises UserError for hyperparameters that the task does not accept."""
    kind, values = task_type(config.task), dict[str, set[Hyper]]()
    recorded = {name: getattr(config, name) for name in fields_of(RunConfig)} | dict(config.task_options)
    for hypers in schedule:
        if wrong := wrong_hypers(config.space, hypers):
            raise BadSetting("a schedule", wrong)
        for name, value in hypers.items():
            values.setdefault(name, set()).add(value)
    for name, several in values.items():
        numbers = [value for value in several if not isinstance(value, str)]
        words = [value for value in several if isinstance(value, str)]
        for value in {min(numbers), max(numbers), *words} if numbers else words:
            kind.complete({"hypers": {name: value}}, recorded)


def _check_setting(config: RunConfig, replay: Settings) -> None:
    """Raises UserError for a schedule that was found for another training."""
    theirs = replay.get("setting")
    if not isinstance(theirs, Mapping):
        raise UserError("the schedules that are to be replayed do not say how they were made")
    ours, theirs = setting_of(config), with_entries(task_type(config.task).options, theirs)
    described = fields_of(task_type(config.task).options)  # an older version may have recorded options that do not train
    beside = [name for name in theirs if name in described and not about(described[name]).trains]
    for name in [*ours, *(name for name in theirs if name not in (*ours, *beside))]:
        if ours.get(name) != theirs.get(name):
            mine, found = _differing(name, ours.get(name), theirs.get(name))
            raise UserError(f"{replay.get('run')} was made with {found}, not {mine}: replay it with the same")


def _differing(name: str, ours: object, theirs: object) -> tuple[str, str]:
    """A setting of both, in words; of mappings only the entries that differ."""
    if not (isinstance(ours, Mapping) and isinstance(theirs, Mapping)):
        return str(ours), f"{name} {theirs}"
    names = [entry for entry in {**ours, **theirs} if ours.get(entry) != theirs.get(entry)]
    mine, found = (", ".join(f"{entry}={one.get(entry)}" for entry in names) for one in (ours, theirs))
    return mine, f"{name} {found}"
