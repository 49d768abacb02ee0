"""What a command does first: reject impossible settings, and only then let workers load the training code on another core."""

from __future__ import annotations

import os
from pathlib import Path

from rl_pbt.errors import did_you_mean
from rl_pbt.executors.processes import prepare
from rl_pbt.making import SortedOut, check_early, check_methods, check_workers, executor_options, sort_out
from rl_pbt.options import Settings
from rl_pbt.recorded import manifest_of
from rl_pbt.store.run import RunFolder
from rl_pbt.tasks.on_environments.words import check_device
from rl_pbt.tasks.registry import AGENTS_ON_ENVIRONMENTS
from rl_pbt.tasks.rl.options import AGENT_NAMES as RL_AGENTS
from rl_pbt.tasks.stable_baselines.options import AGENT_NAMES as SB3_AGENTS

WORKERS_LOAD = "rl_pbt.tasks.rl.interval"


def look_ahead(settings: Settings, *, resume: Path | None, workers: int | None, executor: str | None, how: Settings) -> bool:
    """Raises UserError for what is wrong in any case. Returns whether agents on an environment will be trained."""
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
    _check_agent(sorted_out)
    return True


def _check_agent(wanted: SortedOut) -> None:
    """Check names first, and then what needs gymnasium, which other tasks do not load; torch is never loaded."""
    names = RL_AGENTS if wanted.task == "rl" else SB3_AGENTS
    agent = wanted.given.get("agent", names[0])
    if str(agent).lower() not in names:
        raise did_you_mean("agent", agent, names)
    check_device(wanted.given.get("device", "cpu"))
    from rl_pbt.tasks.on_environments.resolving import check_env  # noqa: PLC0415
    from rl_pbt.tasks.rl.settings import foreseen  # noqa: PLC0415

    if wanted.task != "rl":
        check_env(wanted.given)
    elif (whole := foreseen(wanted.given)) is not None:
        check_methods(wanted, whole)


def begin_loading(executor: str | None) -> None:
    """If there will be worker processes, let their server import what they need while this process imports the same."""
    if executor in (None, "processes") and (os.cpu_count() or 1) > 1:
        prepare(WORKERS_LOAD)
