"""The schedule of hyperparameters that a finished run found, to be replayed: the method `replay:RUN`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rl_pbt.config import RunConfig
from rl_pbt.errors import UserError
from rl_pbt.options import Settings, fields_of
from rl_pbt.search.replay import Schedules, StageRecord
from rl_pbt.store.history import History, line_of_descent, read_history
from rl_pbt.store.run import RunFolder
from rl_pbt.tasks.registry import task_type

PREFIX = "replay:"
SCHEDULE, FINAL, RANDOM = "replay-schedule", "replay-final", "replay-random"
RANDOM_SEARCH = "random"


def read_schedules(folder: Path) -> Schedules:
    """What the configuration of a replaying run records: by seed of the run in `folder`, the stages that each method replays.

    `replay-schedule` follows the line of descent of the winner of the run's first method, `replay-final` holds the
    hyperparameters at its end, and `replay-random` those of random search's winner, where the run has one. Raises UserError for a
    run that is not finished or has no winner.
    """
    run = RunFolder(folder)
    manifest = run.manifest()
    if manifest.status != "finished":
        raise UserError(f"{folder} is {manifest.status}: resume and finish it before you replay it")
    config = manifest.config
    return {
        "run": str(folder),
        "method": config.methods[0],
        "members": 1 + max(_members(run, config)),
        "setting": _setting(config),
        "seeds": {str(seed): _schedules(run, config, seed) for seed in config.seeds},
    }


def _members(run: RunFolder, config: RunConfig) -> Iterator[int]:
    """All numbers that any method has given to a member."""
    for method in config.methods:
        for seed in config.seeds:
            yield from (trial.proposal.member for trial in read_history(run, method, seed).trials)


def _schedules(run: RunFolder, config: RunConfig, seed: int) -> dict[str, list[StageRecord]]:
    stages = _line(read_history(run, config.methods[0], seed), run, config.methods[0], seed)
    units = sum(stage["units"] for stage in stages)
    found: dict[str, list[StageRecord]] = {SCHEDULE: stages, FINAL: [{"units": units, "hypers": stages[-1]["hypers"]}]}
    if RANDOM_SEARCH in config.methods:
        found[RANDOM] = _line(read_history(run, RANDOM_SEARCH, seed), run, RANDOM_SEARCH, seed)
    return found


def _line(history: History, run: RunFolder, method: str, seed: int) -> list[StageRecord]:
    if history.chosen is None:
        raise UserError(f"{run.folder} has no winner of {method} on seed {seed}: there is nothing to replay")
    proposals = [history.by_id[ancestor].proposal for ancestor in line_of_descent(history, history.chosen)]
    return [{"units": proposal.units, "hypers": dict(proposal.hypers)} for proposal in proposals]


def _setting(config: RunConfig) -> Settings:
    """What must be the same for a schedule to mean the same: all but the budget, the seeds and the search."""
    held = {name: value for name, value in config.hypers.items() if name not in config.search}
    described = fields_of(task_type(config.task).options)
    of_training = {n: value for n, value in config.task_options.items() if described[n].metadata.get("trains", True)}
    return {"task": config.task, "searched": sorted(config.search), "held": held, **of_training}


def replaying(replay: Schedules) -> list[str]:
    """The methods that can replay it on each of its seeds."""
    return [name for name in (SCHEDULE, FINAL, RANDOM) if all(name in by_method for by_method in replay["seeds"].values())]


def check_replay(config: RunConfig) -> None:
    """Raises UserError where the configuration is not that of the run it replays."""
    replay = config.method_options.get("replay")
    if not replay:
        return
    ours, theirs = _setting(config), replay["setting"]
    for name in [*ours, *(name for name in theirs if name not in ours)]:
        if ours.get(name) != theirs.get(name):
            raise UserError(
                f"{replay['run']} was made with {name} {theirs.get(name)}, not {ours.get(name)}: replay it with the same"
            )
