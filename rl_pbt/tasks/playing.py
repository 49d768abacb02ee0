"""What tasks with agents on environments have in common: their words, and what is derived from episodes.

It loads neither torch nor gymnasium, so that a report need not load them either.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Protocol

import numpy as np

from rl_pbt.errors import BadSetting, UserError
from rl_pbt.options import Settings
from rl_pbt.records import TRAINING_SCORE, is_score
from rl_pbt.tasks.base import Words

FRAMES = Words(unit="environment frame", short_unit="frame", score="return", episode="episode", baseline="random policy")
ONNX, TORCH = ".onnx", (".pt", ".pt2")  # how files end that a policy can be exported to
INSTALL = "pip install -e '.[export]'"
DEVICE = re.compile(r"(cpu|cuda|mps|xpu)(:\d+)?")
DIVERGED = "diverged: a loss or a weight is not finite"


class Played(Protocol):
    """Whole episodes of one member."""

    @property
    def returns(self) -> Sequence[float]:
        """Returns of the true rewards, neither clipped nor normalised."""
        ...

    @property
    def lengths(self) -> Sequence[int]:
        """In agent steps."""
        ...

    @property
    def truncated(self) -> int:
        """How many of them a time limit ended."""
        ...


def check_ending(ending: str) -> None:
    """Raises UserError for the ending of a file that no policy is exported to, or if a package for it is not installed."""
    if ending not in (ONNX, *TORCH):
        raise UserError(
            f"cannot export to a file that ends in {ending!r}: name a file that ends in {ONNX}, {TORCH[0]} or {TORCH[1]}"
        )
    if ending == ONNX and (absent := [name for name in ("onnx", "onnxscript") if find_spec(name) is None]):
        raise UserError(f"{ONNX} needs the package {absent[0]}, which is not installed: {INSTALL}, or export to {TORCH[0]}")


def check_device(name: str) -> None:
    """Raises BadSetting for what cannot be the name of a device; whether there is such a one, only torch can tell."""
    if not DEVICE.fullmatch(name):
        raise BadSetting("device", f"cannot be {name!r}: write cpu, cuda, or cuda:1 for the second one")


def code_of_environment(env: str) -> dict[str, tuple[str, ...]]:
    """The setting that names a module to import, if there is one, as `tasks.base.TaskType.code` returns it."""
    return {"env": (env,)} if ":" in env else {}


def named(env: str, env_options: Settings, *more: str) -> str:
    """An environment's name for people: its id, what `more` there is to say, and what it is if the id does not tell."""
    said = f"{env} ({', '.join(more)})" if more else env
    return f"{said}: {env_options['called']}" if "called" in env_options else said


def judged_by(options: Settings, how: str = "") -> str:
    """How fitness is computed, worded to follow "Fitness is"; `how` says how actions are chosen in evaluation."""
    if options["fitness"] == "training":
        text = (
            "the mean return of the training episodes that ended in the interval; it favours short episodes and costs no frames"
        )
        return f"{text}. Where none ended, it is that of {options['eval_episodes']} evaluation episodes, whose frames are charged"
    text = f"the mean return of {options['eval_episodes']} evaluation episodes, played to the end{how and ' ' + how}"
    return f"{text}; all members of a generation play the same seeds, and the frames are charged to the method"


def unseen_tails(options: Settings) -> tuple[str, ...]:
    """A sentence on the part of long episodes that training never sees, if there is one."""
    seen = options["unseen_from_step"]
    if seen is None:
        return ()
    carried = ", and with carry_episodes, where the environment can be left, all of them" if "carry_episodes" in options else ""
    return (
        f"Training saw nothing of an episode after its step {seen:,}, because every interval begins new episodes: with a longer "
        f"interval, or fewer environments per member, it sees more of them{carried}.",
    )


def no_fitness(judged: Played) -> str | None:
    """Why these episodes give no fitness, or None if they do."""
    if not judged.returns:
        return "it was not judged"
    return None if all(map(is_score, judged.returns)) else "an episode's return is not finite"


def foreseen_steps(trained: Played, steps: int, episodes: int, longest: int | None) -> int:
    """The agent steps that so many evaluation episodes of a member, each cut after `longest` steps, are expected to take.

    They are assumed to last as long as its newest training episodes or, if none ended, as the `steps` that each of its training
    environments made, which is the least that they can be.
    """
    newest = trained.lengths[-episodes:]
    mean = sum(newest) / len(newest) if newest else float(steps)
    return round(episodes * (mean if longest is None else min(mean, longest)))


def episode_metrics(trained: Played, evaluated: Played | None) -> dict[str, float]:
    """Means for the learning curves, under Stable-Baselines3's names; `evaluated` is None if nothing was evaluated."""
    metrics: dict[str, float] = {}
    if trained.returns:
        metrics[TRAINING_SCORE] = float(np.mean(trained.returns))
        metrics["rollout/ep_len_mean"] = float(np.mean(trained.lengths))
    if evaluated is not None and evaluated.returns:
        metrics["eval/mean_reward"] = float(np.mean(evaluated.returns))
        metrics["eval/mean_ep_length"] = float(np.mean(evaluated.lengths))
    if evaluated is not None:
        metrics["eval/capped_episodes"] = float(evaluated.truncated)
    return metrics


def in_a_word(value: object, empty: str = "") -> str:
    """An agent's option, written as the command line takes it; `empty` is the word for an empty list."""
    if isinstance(value, list):
        return ",".join(map(str, value)) or empty
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)
