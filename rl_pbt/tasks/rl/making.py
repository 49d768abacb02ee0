"""From a configuration to the task."""

from __future__ import annotations

from rl_pbt.agents import AGENTS
from rl_pbt.config import RunConfig
from rl_pbt.options import built
from rl_pbt.tasks.base import Machine
from rl_pbt.tasks.on_environments.devices import check_available
from rl_pbt.tasks.on_environments.limits import longest_episode
from rl_pbt.tasks.on_environments.resolving import resolved
from rl_pbt.tasks.rl.interval import RLTask
from rl_pbt.tasks.rl.options import RLOptions


def make(config: RunConfig, machine: Machine) -> RLTask:
    """The task of a configuration. Raises UserError if its environment, its agent or its device is not available here."""
    chosen = built(RLOptions, config.task_options)
    check_available(chosen.device)
    env = resolved(config.task_options)
    spare = chosen.device != "cpu" or machine.workers < machine.cores  # a core, or a device, that would otherwise be idle
    return RLTask(
        env=env,
        agent=chosen.agent,
        budget=config.budget,
        agent_config=built(AGENTS[chosen.agent].config, chosen.agent_options),
        hypers={name: float(value) for name, value in config.hypers.items()},
        eval_episodes=chosen.eval_episodes,
        fitness=chosen.fitness,
        longest_episode=longest_episode(env, chosen.max_episode_frames, config.interval),
        greedy=chosen.eval_policy == "greedy",
        carry_episodes=chosen.carry_episodes,
        device=chosen.device,
        learn_beside=spare,
        step_together=spare,
    )
