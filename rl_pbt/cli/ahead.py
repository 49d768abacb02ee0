"""What a command does first: reject impossible settings, and only then let workers load the training code on another core."""

from __future__ import annotations

import os
from pathlib import Path

from rl_pbt.executors.processes import prepare
from rl_pbt.making import check_early, check_methods, check_workers, executor_options, sort_out
from rl_pbt.options import Settings
from rl_pbt.recorded import manifest_of
from rl_pbt.store.run import RunFolder
from rl_pbt.tasks.registry import aliases, task_type


def look_ahead(
    settings: Settings, *, resume: Path | None, workers: int | None, executor: str | None, how: Settings
) -> str | None:
    """Raises UserError for what is wrong in any case. Returns the module that workers should begin to load, or None.

    Names are checked first, and then what needs gymnasium, which some tasks do not load; torch is never loaded.
    """
    check_workers(workers)
    executor_options(executor or "processes", how)
    other_words = aliases()
    ours = {other_words.get(name, name): value for name, value in settings.items()}
    check_early(ours)
    if resume is not None:
        manifest = manifest_of(RunFolder(resume))
        ended = manifest.status == "finished" and "budget" not in ours
        return None if ended else task_type(manifest.config.task).workers_import
    sorted_out = sort_out(settings)
    kind = task_type(sorted_out.task)
    if (whole := kind.foreseen(sorted_out.given)) is not None:
        check_methods(sorted_out, whole)
    return kind.workers_import


def begin_loading(module: str, executor: str | None) -> None:
    """If there will be worker processes, let their server import the module while this process imports the same."""
    if executor in (None, "processes") and (os.cpu_count() or 1) > 1:
        prepare(module)
