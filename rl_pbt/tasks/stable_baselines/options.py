"""What can be set for a Stable-Baselines3 run; loads neither torch nor SB3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rl_pbt.options import Settings, at_least_one, option
from rl_pbt.tasks.playing import check_device

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
class StableBaselinesOptions:
    """An algorithm on an environment. `agent_options` holds every argument that cannot be searched, and every choice of networks
    and environments; `env_options` is what is set for the environment, and `frame_skip` records the environment's own.
    """

    env: str = option(help="Pacman, MsPacman, CartPole-v1, any Gymnasium id, or module:Id")
    agent: str = option(AGENT_NAMES[0], help=f"learning algorithm of Stable-Baselines3, one of: {', '.join(AGENT_NAMES)}")
    agent_options: Settings = option(
        factory=dict, help="fixed settings of the agent, as in n_envs=8 n_steps=128 net_arch=64,64 normalise_observations=true"
    )
    fitness: Literal["evaluation", "training"] = option(
        "evaluation", help="signal used for selection: evaluation episodes, or training episodes as in the paper"
    )
    eval_episodes: int = option(8, help="episodes that a member is evaluated on after an interval", trains=False)
    max_episode_frames: int | None = option(
        None,
        help="frames after which an evaluation or test episode is cut off; none: the environment's limit, or else an interval",
        trains=False,
    )
    deterministic: bool = option(
        True,
        help="evaluate and test with the likeliest actions, as SB3 does; false (default for Atari, MiniGrid): sample them",
        trains=False,
    )
    replay_buffer: bool = option(
        True, help="keep an off-policy agent's replay buffer in its checkpoint; if not, every interval begins with an empty one"
    )
    device: str = option("cpu", help="cpu or cuda", trains=False)
    env_options: Settings = option(
        factory=dict, help="options of the environment: constructor arguments, max_episode_steps, as in continuous=true"
    )
    frame_skip: int = option(1, help="frames of one action", flag=False)
    unseen_from_step: int | None = option(
        None, help="the step of an episode after which none is trained on, since every interval begins new ones", flag=False
    )
    cut_after_frames: int | None = option(
        None,
        help="the frame at which an evaluation or test episode is cut; none: it is played to its end",
        trains=False,
        flag=False,
    )

    def __post_init__(self) -> None:
        check_device(self.device)
        at_least_one(self, "eval_episodes", *([] if self.max_episode_frames is None else ["max_episode_frames"]))
