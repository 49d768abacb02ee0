"""Reinforcement learning: a population of our own agents on one environment.

Modules: `options` (what can be set), `settings` (its completion), `defaults` (numbers by family, with their sources),
`by_environment` (those of single ones), `learners` (what both are made of), `interval` (the task: where an agent meets
environments), `training` (act and learn), `side_by_side` (both at once), `metrics` (what is reported of it), `making` (a
configuration -> the task), `collecting` (rollouts and whole episodes), `environments` (those of a group of members), `copies` and
`in_parts` (what steps them: as one, or part by part). Those that load torch are imported when settings are completed or a task is
made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, final

from rl_pbt.config import RunConfig
from rl_pbt.options import Settings
from rl_pbt.records import FinalTest, Trial
from rl_pbt.tasks.base import Machine, Task
from rl_pbt.tasks.on_environments.task_type import EnvironmentTaskType, check_named
from rl_pbt.tasks.on_environments.words import cut_short, evaluation_of, unseen_tails
from rl_pbt.tasks.rl.options import AGENT_NAMES, ALIASES, RLOptions

if TYPE_CHECKING:
    from rl_pbt.tasks.rl.interval import RLTask


@final
class RLType(EnvironmentTaskType):
    """`tasks.base.TaskType` of agents on environments."""

    options: type = RLOptions
    hyper_aliases: Mapping[str, str] = ALIASES

    def foreseen(self, given: Settings) -> Settings | None:
        check_named(given, AGENT_NAMES)
        from rl_pbt.tasks.rl.settings import foreseen

        return foreseen(given)

    def complete(self, given: Settings, recorded: Settings | None) -> Settings:
        from rl_pbt.tasks.on_environments.resolving import check_env

        check_env(given)  # before torch is loaded, which takes seconds
        from rl_pbt.tasks.rl.settings import completed

        return completed(given, recorded)

    def folder(self, options: Settings) -> str:
        return str(options["env"]).replace("/", "-").replace(":", "-")

    def evaluation(self, options: Settings) -> str:
        return evaluation_of(options, "with the likeliest actions" if options["eval_policy"] == "greedy" else "")

    def cautions(self, options: Settings, trials: Sequence[Trial], tests: Sequence[FinalTest]) -> tuple[str, ...]:
        """That training, evaluation or test did not see episodes to their end, or that the learning rate is not the one shown."""
        annealed = "Agents annealed their learning rate linearly to 0 over the budget; rates shown are those before annealing."
        copies = None if options["carry_episodes"] else options["agent_options"].get("envs_per_member")
        found = unseen_tails(options, trials, copies) + cut_short(options, trials, tests)
        return (*found, *([annealed] if self.anneals(options) else []))

    def planned_for_all(self, options: Settings) -> str | None:
        """The learning rate, if it is annealed."""
        return "the learning rate is annealed" if self.anneals(options) else None

    def anneals(self, options: Settings) -> tuple[str, ...]:
        """The learning rate, with the agent's option `anneal`."""
        return () if options["agent_options"].get("anneal", "none") == "none" else ("learning_rate",)

    def not_exported(self, options: Settings) -> str | None:
        """None: a winner can be exported."""
        return None

    def make(self, config: RunConfig, machine: Machine) -> RLTask:
        from rl_pbt.tasks.rl.making import make

        return make(config, machine)

    def describe(self, config: RunConfig, task: Task) -> list[tuple[str, str]]:
        from rl_pbt.tasks.rl.interval import RLTask
        from rl_pbt.tasks.rl.settings import described

        assert isinstance(task, RLTask)
        return described(config, task.network_in_words)


TYPE = RLType()
