"""What is known of agents on environments before such a task is made: their options, and their type as far as it is common.

It loads neither torch nor gymnasium: the command line describes the options of every task, whichever is run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from rl_pbt.options import Group, Settings, at_least_one, option
from rl_pbt.tasks.base import TaskType, Words
from rl_pbt.tasks.on_environments.words import FRAMES, check_device, code_of_environment, named


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentOptions:
    """An environment, and how agents are judged on it. `env_options` is what is set for the environment, and `frame_skip` records
    the environment's own.
    """

    env: str = option(help="Pacman, MsPacman, CartPole-v1, any Gymnasium id, or module:Id", group=Group.WHAT)
    fitness: Literal["evaluation", "training"] = option(
        "evaluation", help="signal used for selection: evaluation episodes, or training episodes as in the paper", trains=False
    )
    eval_episodes: int = option(
        8,
        help="episodes that a member is evaluated on after an interval",
        group=Group.BUDGET,
        varies=True,
        trains=False,
    )
    max_episode_frames: int | None = option(
        None,
        help="frames after which an evaluation or test episode is cut off; none: the environment's limit, or else an interval",
        group=Group.BUDGET,
        trains=False,
    )
    device: str = option("cpu", help="cpu or cuda", group=Group.MACHINE, trains=False)
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


class EnvironmentTaskType(TaskType):
    """`tasks.base.TaskType` as far as it is the same for all agents on environments."""

    aliases: Mapping[str, str] = {"frames": "budget"}
    help_group = Group.AGENT

    def words(self, options: Settings) -> Words:
        """Those of reinforcement learning."""
        return FRAMES

    def code(self, options: Settings) -> Mapping[str, tuple[str, ...]]:
        """The environment, if it names a module."""
        return code_of_environment(options["env"])

    def title(self, options: Settings) -> str:
        """As in "sb3:ppo on CartPole-v1"."""
        return f"{options['agent']} on {named(options['env'], options.get('env_options', {}))}"
