"""What can be set for a Stable-Baselines3 run; loads neither torch nor SB3."""

from __future__ import annotations

from dataclasses import dataclass

from rl_pbt.options import Settings, option
from rl_pbt.tasks.on_environments.task_type import EnvironmentOptions

AGENT_NAMES = ("sb3:ppo", "sb3:a2c", "sb3:dqn", "sb3:sac", "sb3:td3")  # a test compares them with `arguments.ALGORITHMS`
# Names that the arguments have elsewhere, also in our own agents.
ALIASES = {
    "lr": "learning_rate",
    "discount": "gamma",
    "entropy_cost": "ent_coef",
    "entropy": "ent_coef",
    "value_cost": "vf_coef",
    "trace_lambda": "gae_lambda",
    "lambda": "gae_lambda",
    "epsilon": "rms_prop_eps",
    "eps": "rms_prop_eps",
    "clip": "clip_range",
    "epochs": "n_epochs",
    "envs_per_member": "n_envs",
    "unroll_length": "n_steps",
    "hidden": "net_arch",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StableBaselinesOptions(EnvironmentOptions):
    """An algorithm on an environment. `agent_options` holds every argument that cannot be searched, and every choice of networks
    and environments.
    """

    agent: str = option(AGENT_NAMES[0], help=f"learning algorithm of Stable-Baselines3, one of: {', '.join(AGENT_NAMES)}")
    agent_options: Settings = option(
        factory=dict, help="fixed settings of the agent, as in n_envs=8 n_steps=128 net_arch=64,64 normalise_observations=true"
    )
    deterministic: bool = option(
        True,
        help="evaluate and test with the likeliest actions, as SB3 does; false (default for Atari, MiniGrid): sample them",
        varies=True,
        trains=False,
    )
    replay_buffer: bool = option(
        True, help="keep an off-policy agent's replay buffer in its checkpoint; if not, every interval begins with an empty one"
    )
