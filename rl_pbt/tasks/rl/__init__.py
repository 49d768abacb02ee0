"""Reinforcement learning: a population of our own agents on one environment.

`settings` (options and their defaults), `defaults` (numbers by family, with their sources), `interval` (the task: where an agent
meets environments), `side_by_side` (acting beside learning), `collecting` (a policy meets environments), `environments` (those of
a group of members, stepped together). Modules that load torch are loaded when a task is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, final

from rl_pbt.config import RunConfig
from rl_pbt.tasks.base import Machine, Task, Words

if TYPE_CHECKING:
    from rl_pbt.tasks.rl.interval import RLTask

FRAMES = Words(unit="environment frame", short_unit="frame", score="return", episode="episode", baseline="random policy")


@final
class RLType:
    """`tasks.base.TaskType` of agents on environments."""

    aliases: Mapping[str, str] = {"frames": "budget"}

    @property
    def options(self) -> type[Any]:
        from rl_pbt.tasks.rl.settings import RLOptions

        return RLOptions

    def complete(self, given: Mapping[str, Any], recorded: Mapping[str, Any] | None) -> dict[str, Any]:
        from rl_pbt.tasks.rl.settings import completed

        return completed(given, recorded)

    def words(self, options: Mapping[str, Any]) -> Words:
        return FRAMES

    def title(self, options: Mapping[str, Any]) -> str:
        return f"{options['agent']} on {options['env']}"

    def folder(self, options: Mapping[str, Any]) -> str:
        return str(options["env"]).replace("/", "-").replace(":", "-")

    def judging(self, options: Mapping[str, Any]) -> str:
        if options["fitness"] == "training":
            text = "the mean return of the training episodes that ended in the interval"
            return f"{text}; it favours short episodes and costs no frames"
        text = f"the mean return of {options['eval_episodes']} evaluation episodes, played whole"
        return f"{text}; a generation shares its seeds, and their frames are charged to the method"

    def make(self, config: RunConfig, machine: Machine) -> RLTask:
        from rl_pbt.tasks.rl.interval import make

        return make(config, machine)

    def describe(self, config: RunConfig, task: Task) -> list[tuple[str, str]]:
        from rl_pbt.tasks.rl.settings import described

        return described(config, task)


TYPE = RLType()
