"""What can be set for the reinforcement-learning task.

The command line describes the options of every task, whichever is run, so this loads neither torch nor gymnasium. The names in
`envs.BACKENDS` are therefore repeated here, and a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rl_pbt.agents import AGENTS
from rl_pbt.options import Settings, option, plain
from rl_pbt.tasks.on_environments.task_type import EnvironmentOptions

AGENT_NAMES = tuple(AGENTS)
# Names that the hyperparameters have elsewhere.
ALIASES = {
    "lr": "learning_rate",
    "ent_coef": "entropy_cost",
    "entropy": "entropy_cost",
    "gamma": "discount",
    "vf_coef": "value_cost",
    "gae_lambda": "trace_lambda",
    "lambda": "trace_lambda",
    "eps": "epsilon",
    "rms_prop_eps": "epsilon",
    "clip_coef": "clip_range",
    "clip_eps": "clip_range",
    "n_epochs": "num_epochs",
}


def _of_agent(chosen: Settings) -> Settings:
    """The options of the agent that its configuration declares."""
    agent = AGENTS.get(str(chosen.get("agent")))
    return {} if agent is None else plain(agent.config())


@dataclass(frozen=True, slots=True, kw_only=True)
class RLOptions(EnvironmentOptions):
    """An agent on an environment. `agent_options` holds every option of the agent."""

    agent: str = option(
        "a2c",
        help=f"learning algorithm, one of: {', '.join(AGENT_NAMES)}, or sb3:ALGORITHM of Stable-Baselines3 (default: a2c, or ppo "
        "where that learns more)",
    )
    agent_options: Settings = option(
        factory=dict,
        help="fixed settings of the agent, as in envs_per_member=8 unroll_length=20 hidden=64,64 rewards=clip",
        entries=_of_agent,
    )
    eval_policy: Literal["sampled", "greedy"] = option(
        "sampled", help="actions in evaluation and test: sampled, as in training, or greedy (the likeliest)", trains=False
    )
    carry_episodes: bool = option(
        False,
        help="continue a member's own unfinished episodes in its next interval (default: true where that costs no time: classic "
        "control, Pacman, SMAX; other Atari games can)",
        varies=True,
    )
    backend: str = option("gymnasium", help="what steps the environments, one of: gymnasium, envpool")
