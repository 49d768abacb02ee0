"""What is known of agents on environments before such a task is made: their options, and their type as far as it is common.

It loads neither torch nor gymnasium: the command line describes the options of every task, whichever is run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rl_pbt.errors import did_you_mean
from rl_pbt.options import Group, Settings, at_least_one, option
from rl_pbt.records import JSON
from rl_pbt.tasks.base import TaskType
from rl_pbt.tasks.on_environments.words import FRAMES, check_device, code_of_environment, named
from rl_pbt.tasks.words import Words

# Among the options of an environment:
NOT_OF_SCORES = ("frame_stack", "stack_num", "vectorization_mode")
IF_CHANGED = ("make_kwargs", "max_episode_steps")  # recorded only where they were set


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentOptions:
    """An environment, and how agents are evaluated on it. `env_options` is what is set for the environment, and `frame_skip`
    records the environment's own.
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
        of_scores=True,
    )
    device: str = option("cpu", help="cpu or cuda", group=Group.MACHINE, trains=False)
    env_options: Settings = option(
        factory=dict,
        help="options of the environment: constructor arguments, max_episode_steps, frame_stack, as in gravity=-5 frame_stack=4",
    )
    frame_skip: int = option(1, help="frames of one action", flag=False, of_scores=True)
    unseen_from_step: int | None = option(
        None, help="the step of an episode after which none is trained on, since every interval begins new ones", flag=False
    )
    cut_after_frames: int | None = option(
        None,
        help="the frame at which an evaluation or test episode is cut; none: it is played to its end",
        trains=False,
        of_scores=True,
        flag=False,
    )

    def __post_init__(self) -> None:
        check_device(self.device)
        at_least_one(self, "eval_episodes", *([] if self.max_episode_frames is None else ["max_episode_frames"]))


class EnvironmentTaskType(TaskType):
    """`tasks.base.TaskType` as far as it is the same for all agents on environments."""

    aliases: Mapping[str, str] = {"frames": "budget"}
    help_group = Group.AGENT
    started_by = "bench"
    workers_import = "rl_pbt.tasks.rl.interval"  # and with it torch, which takes longest

    def words(self, options: Settings) -> Words:
        """Those of reinforcement learning."""
        return FRAMES

    def code(self, options: Settings) -> Mapping[str, tuple[str, ...]]:
        """The environment, if it names a module."""
        return code_of_environment(options["env"])

    def title(self, options: Settings) -> str:
        """As in "sb3:ppo on CartPole-v1"."""
        return f"{options['agent']} on {named(options['env'], options.get('env_options', {}))}"

    def scored_on(self, options: Settings) -> str:
        """The environment, whichever agent learns it."""
        return str(options["env"])

    def scoring(self, options: Settings) -> Mapping[str, JSON]:
        """Also what is set for the environment, except what changes only what an agent sees of it, or how it is stepped."""
        of_env = {name: value for name, value in options["env_options"].items() if name not in NOT_OF_SCORES}
        return {**super().scoring(options), **of_env, **{name: "as usual" for name in IF_CHANGED if name not in of_env}}


def check_named(given: Settings, agents: Sequence[str]) -> None:
    """Raises UserError for an agent or a device that cannot be, by their names alone."""
    agent = given.get("agent", agents[0])
    if str(agent).lower() not in agents:
        raise did_you_mean("agent", agent, agents)
    check_device(given.get("device", "cpu"))
