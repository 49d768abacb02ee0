"""What is said of agents on environments: their nouns, how fitness is computed, and what a report must caution about.

It loads neither torch nor gymnasium, so that a report need not load them either.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.util import find_spec

from rl_pbt.errors import BadSetting, UserError
from rl_pbt.options import Settings
from rl_pbt.records import TRAINING_SCORE, FinalTest, Trial
from rl_pbt.tasks.on_environments.episodes import CAPPED
from rl_pbt.tasks.words import Words
from rl_pbt.text import counted, listed

FRAMES = Words(unit="environment frame", short_unit="frame", score="return", episode="episode", baseline="random policy")
ONNX, TORCH = ".onnx", (".pt", ".pt2")  # how files end that a policy can be exported to
INSTALL = "pip install -e '.[export]'"
DEVICE = re.compile(r"(cpu|cuda|mps|xpu)(:\d+)?")


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


def in_a_word(value: object, empty: str = "") -> str:
    """An agent's option, written as the command line takes it; `empty` is the word for an empty list."""
    if isinstance(value, list):
        return ",".join(map(str, value)) or empty
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)
