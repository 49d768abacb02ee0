"""What can be set for the reinforcement-learning task.

The command line describes the options of every task, whichever is run, so this loads neither torch nor gymnasium. The names in
`envs.BACKENDS` are therefore repeated here, and a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rl_pbt.agents import AGENTS
from rl_pbt.options import Settings, at_least_one, option, plain
from rl_pbt.tasks.playing import check_device

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
class RLOptions:
    """An agent on an environment. `agent_options` holds every option of the agent, `env_options` what is set for the environment,
    and `frame_skip` records the environment's own.
    """

    env: str = option(help="Pacman, MsPacman, CartPole-v1, any Gymnasium id, or module:Id")
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
    fitness: Literal["evaluation", "training"] = option(
        "evaluation", help="signal used for selection: evaluation episodes, or training episodes as in the paper", trains=False
    )
    eval_episodes: int = option(8, help="episodes that a member is evaluated on after an interval", trains=False)
    eval_policy: Literal["sampled", "greedy"] = option(
        "sampled", help="actions in evaluation and test: sampled, as in training, or greedy (the likeliest)", trains=False
    )
    max_episode_frames: int | None = option(
        None,
        help="frames after which an evaluation or test episode is cut off; none: the environment's limit, or else an interval",
        trains=False,
    )
    carry_episodes: bool = option(
        False,
        help="continue a member's own unfinished episodes in its next interval (default: true where that costs no time: classic "
        "control, Pacman, SMAX; other Atari games can)",
    )
    backend: str = option("gymnasium", help="what steps the environments, one of: gymnasium, envpool")
    device: str = option("cpu", help="cpu or cuda", trains=False)
    env_options: Settings = option(
        factory=dict,
        help="options of the environment: constructor arguments, max_episode_steps, frame_stack, as in gravity=-5 frame_stack=4",
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
