"""Where jobs run, by name. A new executor is a new file and a line here."""

from __future__ import annotations

from collections.abc import Callable

from rl_pbt.executors.base import Executor, Outcome, run_all
from rl_pbt.executors.inline import InlineExecutor
from rl_pbt.executors.processes import ProcessExecutor
from rl_pbt.tasks.base import Task

__all__ = ["EXECUTORS", "Executor", "InlineExecutor", "Outcome", "ProcessExecutor", "run_all"]

# Name -> what makes one for a task and so many workers.
EXECUTORS: dict[str, Callable[[Task, int], Executor]] = {
    "inline": lambda task, workers: InlineExecutor(task),
    "processes": ProcessExecutor,
}
