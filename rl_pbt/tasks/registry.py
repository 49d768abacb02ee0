"""Tasks by name. A new task is a new module and a line here."""

from __future__ import annotations

from importlib import import_module

from rl_pbt.config import RunConfig
from rl_pbt.errors import BadSetting, did_you_mean
from rl_pbt.options import Settings
from rl_pbt.tasks.base import TaskType
from rl_pbt.tasks.words import Words

# Name -> the module whose `TYPE` it is, imported when it is asked for.
TASKS = {
    "rl": "rl_pbt.tasks.rl",
    "stable_baselines": "rl_pbt.tasks.stable_baselines",
    "own": "rl_pbt.tasks.own",
    "command": "rl_pbt.tasks.command",
    "quadratic": "rl_pbt.tasks.quadratic",
    "table": "rl_pbt.tasks.table",
    "gan": "rl_pbt.tasks.gan",
    "translation": "rl_pbt.tasks.translation",
}
AGENTS_ON_ENVIRONMENTS = ("rl", "stable_baselines")
# Tasks that are asked for by their names alone; of the others, `command` needs a program too.
NAMED = tuple(name for name in TASKS if name not in (*AGENTS_ON_ENVIRONMENTS, "own", "command"))
SB3 = "sb3:"  # prefix of the names of Stable-Baselines3's agents


def task_type(name: str) -> TaskType:
    """The type of the task of that name. Raises UserError for an unknown one."""
    if name not in TASKS:
        raise did_you_mean("task", name, TASKS)
    found: TaskType = import_module(TASKS[name]).TYPE
    return found


def aliases() -> dict[str, str]:
    """Other names of settings, as they are usual with any of the tasks, each with the setting's name."""
    return {alias: setting for name in TASKS for alias, setting in task_type(name).aliases.items()}


def words_of(config: RunConfig) -> Words:
    """The nouns of a configuration's task; loads no code of the user's."""
    return task_type(config.task).words(config.task_options)


def named(given: Settings, recorded: str | None) -> tuple[str, Settings]:
    """The name of the task that the settings ask for, and the settings without that name.

    `module:Class` is a training of the user's own, and an environment without a task is reinforcement learning. Raises BadSetting
    if the settings name neither a task nor an environment.
    """
    others = dict(given)
    task = others.pop("task", recorded)
    if ("env" in others and task is None) or (task in AGENTS_ON_ENVIRONMENTS and "agent" in others):
        task = "stable_baselines" if str(others.get("agent", "")).lower().startswith(SB3) else "rl"
    if task is None:
        raise BadSetting("env", "is missing: say which environment, Pacman for instance, or which task")
    if isinstance(task, str) and ":" in task:
        task, others["target"] = "own", task
    return str(task), others
