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
from rl_pbt.records import TRAINING_SCORE, FinalTest, Trial, is_score
from rl_pbt.tasks.words import Words
from rl_pbt.text import counted, listed

FRAMES = Words(unit="environment frame", short_unit="frame", score="return", episode="episode", baseline="random policy")
ONNX, TORCH = ".onnx", (".pt", ".pt2")  # how files end that a policy can be exported to
INSTALL = "pip install -e '.[export]'"
DEVICE = re.compile(r"(cpu|cuda|mps|xpu)(:\d+)?")
CAPPED = "eval/capped_episodes"  # the metric: how many evaluation episodes a time limit ended
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


def evaluation_of(options: Settings, how: str = "") -> str:
    """How fitness is computed, worded to follow "Fitness is"; `how` says how actions are chosen in evaluation."""
    episodes = counted(options["eval_episodes"], "evaluation episode")
    longest = options["cut_after_frames"]
    if options["fitness"] == "training":
        cut = "" if longest is None else f", played to frame {longest:,} at most"
        return (
            "the mean return of the training episodes that ended in the interval; it favours short episodes and costs no frames. "
            f"Where none ended, it is that of {episodes}{cut}, whose frames are charged"
        )
    end = "the end" if longest is None else f"the end or to frame {longest:,}"
    return (
        f"the mean return of {episodes}, played to {end}{how and ' ' + how}; all members of a generation play the same seeds, "
        "and the frames are charged to the method"
    )


def unseen_tails(options: Settings, trials: Sequence[Trial], copies: int | None) -> tuple[str, ...]:
    """A sentence on the part of long episodes that training did not see, if there was one.

    `copies` is the number of a member's environments in training, None if their episodes continue in its next interval. How long
    episodes can be is not always known beforehand; but where none ended in an interval, all of them were longer.
    """
    carried = ", and all of them with carry_episodes, where that can be set" if "carry_episodes" in options else ""
    remedy = (
        "because every interval begins new episodes: with a longer interval, or fewer environments per member, it sees more of "
        f"them{carried}"
    )
    planned = options["unseen_from_step"]
    if planned is not None:
        return (f"Training saw nothing of an episode after its step {planned:,}, {remedy}.",)
    trained = [one.result for one in trials if one.proposal.trains and one.result.failure is None]
    endless = [result for result in trained if TRAINING_SCORE not in result.metrics]
    if copies is None or not endless:
        return ()
    seen = max(result.cost.train_units for result in endless) // (copies * options["frame_skip"])
    return (
        f"In {len(endless):,} of {counted(len(trained), 'interval')} no training episode ended: training saw nothing of these "
        f"episodes after step {seen:,}, {remedy}.",
    )


def cut_short(options: Settings, trials: Sequence[Trial], tests: Sequence[FinalTest]) -> tuple[str, ...]:
    """A sentence on the evaluation and test episodes that ended at a limit, if there is one besides the environment's own."""
    longest = options["cut_after_frames"]
    evaluated = [one.result for one in trials if CAPPED in one.result.metrics]
    capped = {
        "evaluation": (
            round(sum(result.metrics[CAPPED] for result in evaluated)),
            sum(len(result.returns) for result in evaluated),
        ),
        "test": (sum(test.capped for test in tests), sum(len(test.returns) for test in tests)),
    }
    ended = [f"{cut:,} of {counted(whole, f'{kind} episode')}" for kind, (cut, whole) in capped.items() if cut]
    if longest is None or not ended:
        return ()
    return (
        f"Evaluation and test episodes are cut at frame {longest:,}: {listed(ended)} ended at a limit, so their returns lack "
        "what would have followed.",
    )


def no_fitness(played: Played) -> str | None:
    """Why these episodes give no fitness, or None if they do."""
    if not played.returns:
        return "it was not judged"
    return None if all(map(is_score, played.returns)) else "an episode's return is not finite"


def foreseen_steps(trained: Played, steps: int, episodes: int, longest: int | None, copies: int) -> int:
    """The agent steps that so many evaluation episodes of a member, of `longest` steps at most, are expected to take.

    They are assumed to last as long as its newest training episodes. If none ended, each lasts longer than the `steps` of each of
    the `copies` of the environment. Then they are assumed to be as long as is possible, but no longer than the whole interval:
    what is held back for episodes of a limit that they never reach could not be trained for. Without a known limit, the least
    is assumed.
    """
    newest = trained.lengths[-episodes:]
    if not newest:
        return episodes * (steps if longest is None else min(longest, copies * steps))
    mean = sum(newest) / len(newest)
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
        metrics[CAPPED] = float(evaluated.truncated)
    return metrics


def in_a_word(value: object, empty: str = "") -> str:
    """An agent's option, written as the command line takes it; `empty` is the word for an empty list."""
    if isinstance(value, list):
        return ",".join(map(str, value)) or empty
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)
