"""What a command can do at once: refuse what cannot be, and only then let workers load, on another core, what trains."""

from __future__ import annotations

import os
from pathlib import Path

from rl_pbt.errors import did_you_mean
from rl_pbt.executors.processes import prepare
from rl_pbt.making import check_early, check_workers, executor_options, sort_out
from rl_pbt.options import Settings
from rl_pbt.recorded import manifest_of
from rl_pbt.store.run import RunFolder
from rl_pbt.tasks.registry import AGENTS_ON_ENVIRONMENTS
from rl_pbt.tasks.rl.options import AGENT_NAMES

WORKERS_LOAD = "rl_pbt.tasks.rl.interval"


def look_ahead(settings: Settings, *, resume: Path | None, workers: int | None, executor: str | None, how: Settings) -> bool:
    """Raise UserError for what is wrong whatever else there is; whether agents on an environment are to be trained."""
    check_workers(workers)
    executor_options(executor or "processes", how)
    budget = {"budget": settings["frames"]} if "frames" in settings else {}
    check_early({**settings, **budget})
    if resume is not None:
        manifest = manifest_of(RunFolder(resume))
        ended = manifest.status == "finished" and "budget" not in {**settings, **budget}
        return manifest.config.task in AGENTS_ON_ENVIRONMENTS and not ended
    sorted_out = sort_out(settings)
    if sorted_out.task not in AGENTS_ON_ENVIRONMENTS:
        return False
    agent = sorted_out.given.get("agent", AGENT_NAMES[0])
    if sorted_out.task == "rl" and agent not in AGENT_NAMES:
        raise did_you_mean("agent", agent, AGENT_NAMES)
    from rl_pbt.tasks.rl.resolving import check_env  # noqa: PLC0415 - it loads gymnasium, which other tasks do not need

    check_env(sorted_out.given)
    return True


def begin_loading() -> None:
    """Let the server of worker processes import what they need, while this process imports the same."""
    if (os.cpu_count() or 1) > 1:
        prepare(WORKERS_LOAD)
