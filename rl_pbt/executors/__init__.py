"""Where jobs run, by name. A new executor is a new file and a line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

from rl_pbt.executors.base import Executor, ExecutorOptions, Future, Steps, TaskError, run_all
from rl_pbt.executors.inline import InlineExecutor
from rl_pbt.executors.processes import ProcessExecutor
from rl_pbt.executors.ray import RayExecutor
from rl_pbt.executors.ray_cluster import RayOptions
from rl_pbt.tasks.base import Task

__all__ = [
    "EXECUTORS",
    "Executor",
    "ExecutorOptions",
    "Future",
    "InlineExecutor",
    "ProcessExecutor",
    "Steps",
    "TaskError",
    "run_all",
]


@final
@dataclass(frozen=True, slots=True)
class Entry:
    """The function (task, workers, options) -> executor, and the dataclass of its options."""

    make: Callable[[Task, int, Any], Executor]
    options: type[ExecutorOptions] = ExecutorOptions


EXECUTORS: dict[str, Entry] = {
    "inline": Entry(lambda task, workers, options: InlineExecutor(task, options)),
    "processes": Entry(ProcessExecutor),
    "ray": Entry(RayExecutor, RayOptions),
}
