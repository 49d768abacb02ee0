"""Stable-Baselines3: a population of its PPO, A2C, DQN, SAC or TD3 on one environment.

Modules: `options` (what can be set), `settings` (its completion), `defaults` (numbers with their sources), `arguments` (what
SB3's constructors take, and which of it can be searched), `environments` (as SB3 takes them), `members` (one algorithm: made,
loaded, trained), `outcome` (an agent at play, and the outcome of an interval), `interval` (the task). Those that load torch are
imported when settings are completed or a task is made.
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
from rl_pbt.tasks.stable_baselines.options import AGENT_NAMES, ALIASES, StableBaselinesOptions

if TYPE_CHECKING:
    from rl_pbt.tasks.stable_baselines.interval import StableBaselinesTask


@final
class StableBaselinesType(EnvironmentTaskType):
    """`tasks.base.TaskType` of Stable-Baselines3's algorithms on environments."""

    options: type = StableBaselinesOptions
    hyper_aliases: Mapping[str, str] = ALIASES

    def foreseen(self, given: Settings) -> None:
        """None: SB3 itself has the defaults of its algorithms."""
        check_named(given, AGENT_NAMES)
        from rl_pbt.tasks.on_environments.resolving import check_env

        check_env(given)

    def complete(self, given: Settings, recorded: Settings | None) -> Settings:
        """All settings, with exact names, and hyperparameters under SB3's names. Raises UserError."""
        from rl_pbt.tasks.on_environments.resolving import check_env

        check_env(given)
        from rl_pbt.tasks.stable_baselines.settings import completed

        return completed(given, recorded)

    def folder(self, options: Settings) -> str:
        """As in "CartPole-v1-sb3-ppo"."""
        return f"{options['env']}-{options['agent']}".replace("/", "-").replace(":", "-")

    def evaluation(self, options: Settings) -> str:
        """Which episodes give the fitness, how actions are chosen in them, and who pays for them."""
        return evaluation_of(
            options, "with the likeliest actions" if options["deterministic"] else "with actions drawn as in training"
        )

    def cautions(self, options: Settings, trials: Sequence[Trial], tests: Sequence[FinalTest]) -> tuple[str, ...]:
        """That training did not see episodes to their end, or that evaluation and test did not, if so."""
        copies = options["agent_options"].get("n_envs")
        return unseen_tails(options, trials, copies) + cut_short(options, trials, tests)

    def planned_for_all(self, options: Settings) -> str | None:
        """DQN's exploration, which falls over a part of the budget."""
        return "its exploration falls" if options["agent"] == "sb3:dqn" else None

    def not_exported(self, options: Settings) -> str | None:
        """SB3 has its own way to save an agent."""
        return "an agent of Stable-Baselines3 saves itself: rl_pbt.load(RUN).winner().model.save(FILE)"

    def make(self, config: RunConfig, machine: Machine) -> StableBaselinesTask:
        """The task of a configuration. Raises UserError if SB3 cannot make its algorithm."""
        from rl_pbt.tasks.stable_baselines.interval import make

        return make(config)

    def describe(self, config: RunConfig, task: Task) -> list[tuple[str, str]]:
        """Lines of the dry run."""
        from rl_pbt.tasks.stable_baselines.settings import described

        return described(config)


TYPE = StableBaselinesType()
