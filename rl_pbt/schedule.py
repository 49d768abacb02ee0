"""The schedule of hypers that a finished run found, to be replayed: `--methods replay:RUN`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rl_pbt.config import RunConfig
from rl_pbt.history import History, line_of_descent, read_history
from rl_pbt.records import UserError
from rl_pbt.store import Run

PREFIX = "replay:"
SCHEDULE, FINAL, RANDOM = "replay-schedule", "replay-final", "replay-random"
RANDOM_SEARCH = "random"
Stages = list[dict[str, Any]]


def read_schedules(folder: Path) -> dict[str, Any]:
    """What the configuration of a replaying run records: by seed of the run in `folder`, the stages that each method replays.

    `replay-schedule` follows the line of descent of the winner of the run's first method, `replay-final` holds the hypers at
    its end, and `replay-random` those of random search's winner, where the run has one. Raises UserError for a run that is not
    finished or has no winner.
    """
    run = Run(folder)
    manifest = run.manifest()
    if manifest["status"] != "finished":
        raise UserError(f"{folder} is {manifest['status']}: finish it with --resume {folder} before you replay it")
    config = RunConfig.from_json(manifest["config"])
    return {
        "run": str(folder),
        "method": config.methods[0],
        "members": 1 + max(_members(run, config)),
        "setting": _setting(config),
        "seeds": {str(seed): _of_seed(run, config, seed) for seed in config.seeds},
    }


def _members(run: Run, config: RunConfig) -> Iterator[int]:
    """All numbers that any method has given to a member."""
    for method in config.methods:
        for seed in config.seeds:
            yield from (trial.proposal.member for trial in read_history(run, method, seed).trials)


def _of_seed(run: Run, config: RunConfig, seed: int) -> dict[str, Stages]:
    stages = _line(read_history(run, config.methods[0], seed), run, config.methods[0], seed)
    frames = sum(stage["frames"] for stage in stages)
    found = {SCHEDULE: stages, FINAL: [{"frames": frames, "hypers": stages[-1]["hypers"]}]}
    if RANDOM_SEARCH in config.methods:
        found[RANDOM] = _line(read_history(run, RANDOM_SEARCH, seed), run, RANDOM_SEARCH, seed)
    return found


def _line(history: History, run: Run, method: str, seed: int) -> Stages:
    if history.chosen is None:
        raise UserError(f"{run.folder} has no winner of {method} on seed {seed}: there is nothing to replay")
    proposals = [history.by_id[ancestor].proposal for ancestor in line_of_descent(history, history.chosen)]
    return [{"frames": proposal.frames, "hypers": dict(proposal.hypers)} for proposal in proposals]


def _setting(config: RunConfig) -> dict[str, Any]:
    """What must be the same for a schedule to mean the same: all but the budget, the seeds and the search."""
    plain = config.to_json()
    held = {name: value for name, value in config.hypers.items() if name not in config.search}
    same = ("env", "agent", "backend", "agent_options", "env_options", "frame_skip")
    return {name: plain[name] for name in same} | {"searched": sorted(config.search), "held": held}


def check_replay(config: RunConfig) -> None:
    """Raises UserError where the configuration is not that of the run it replays."""
    if not config.replay:
        return
    ours, theirs = _setting(config), config.replay["setting"]
    for name, value in ours.items():
        if value != theirs[name]:
            raise UserError(f"{config.replay['run']} was made with {name} {theirs[name]}, not {value}: replay it with the same")


def stages_for(replay: Mapping[str, Any], seed: int) -> dict[str, Stages]:
    """By method; of the same seed where the replayed run has it, else its seeds in turn. Nothing, where nothing is replayed."""
    seeds = replay.get("seeds")
    if not seeds:
        return {}
    in_turn = sorted(seeds, key=int)  # not as they stand: a manifest lists them otherwise
    found: dict[str, Stages] = seeds.get(str(seed)) or seeds[in_turn[seed % len(in_turn)]]
    return found
