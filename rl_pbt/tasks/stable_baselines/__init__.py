"""Stable-Baselines3: a population of its PPO, A2C, DQN, SAC or TD3 on one environment.

`options` (what can be set), `settings` (its completion), `defaults` (numbers with their sources), `arguments` (what SB3's
constructors take, and what of it can be searched), `environments` (as SB3 wants them), `members` (one algorithm: made, loaded,
trained), `judging` (an agent at play, and what came of it), `interval` (the task). Modules that load torch are loaded when
settings are completed or a task is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, final

from rl_pbt.config import RunConfig
from rl_pbt.tasks.base import Machine, Task, Words
from rl_pbt.tasks.stable_baselines.options import StableBaselinesOptions

if TYPE_CHECKING:
    from rl_pbt.tasks.stable_baselines.interval import StableBaselinesTask

FRAMES = Words(unit="environment frame", short_unit="frame", score="return", episode="episode", baseline="random policy")


@final
class StableBaselinesType:
    """`tasks.base.TaskType` of Stable-Baselines3's algorithms on environments."""

    options: type[Any] = StableBaselinesOptions
    aliases: Mapping[str, str] = {"frames": "budget"}

    def complete(self, given: Mapping[str, Any], recorded: Mapping[str, Any] | None) -> dict[str, Any]:
        """Every setting; names resolved, hyperparameters under SB3's names. Raises UserError."""
        from rl_pbt.tasks.stable_baselines.settings import completed

        return completed(given, recorded)

    def words(self, options: Mapping[str, Any]) -> Words:
        """Those of reinforcement learning."""
        return FRAMES

    def title(self, options: Mapping[str, Any]) -> str:
        """As in "sb3:ppo on CartPole-v1"."""
        return f"{options['agent']} on {options['env']}"

    def folder(self, options: Mapping[str, Any]) -> str:
        """As in "CartPole-v1-sb3-ppo"."""
        return f"{options['env']}-{options['agent']}".replace("/", "-").replace(":", "-")

    def judging(self, options: Mapping[str, Any]) -> str:
        """Which episodes give the fitness, how actions are chosen in them, and who pays for them."""
        if options["fitness"] == "training":
            text = "the mean return of the training episodes that ended in the interval"
            return f"{text}; it favours short episodes and costs no frames"
        how = "with the likeliest actions" if options["deterministic"] else "with actions drawn as in training"
        text = f"the mean return of {options['eval_episodes']} evaluation episodes, played whole {how}"
        return f"{text}; a generation shares its seeds, and their frames are charged to the method"

    def make(self, config: RunConfig, machine: Machine) -> StableBaselinesTask:
        """The task of a configuration. Raises UserError where SB3 cannot make its algorithm."""
        from rl_pbt.tasks.stable_baselines.interval import make

        return make(config)

    def describe(self, config: RunConfig, task: Task) -> list[tuple[str, str]]:
        """Lines of the dry run."""
        from rl_pbt.tasks.stable_baselines.settings import described

        return described(config)


TYPE = StableBaselinesType()
