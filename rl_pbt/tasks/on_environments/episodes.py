"""What a member played, and what follows from it: its fitness, its metrics, its test, and what more episodes would cost.

It loads neither torch nor gymnasium.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from rl_pbt.records import TRAINING_SCORE, Cost, FinalTest, is_score

CAPPED = "eval/capped_episodes"  # the metric: how many evaluation episodes a time limit ended


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Episodes:
    """Whole episodes of one member: returns of the true rewards, neither clipped nor normalised, lengths in agent steps, and how
    many a time limit ended.

    `excluded` counts the episodes in which the environment failed, `failure` says how the first did, and `lost_steps` counts
    their steps.
    """

    returns: tuple[float, ...] = ()
    lengths: tuple[int, ...] = ()
    truncated: int = 0
    excluded: int = 0
    failure: str | None = None
    lost_steps: int = 0

    @property
    def steps(self) -> int:
        """All steps that were made."""
        return sum(self.lengths) + self.lost_steps

    def tested(self, proposal: int | None, cost: Cost) -> FinalTest:
        """The test of a proposal or, for None, of the baseline, if these are its episodes."""
        return FinalTest(
            proposal=proposal,
            returns=self.returns,
            cost=cost,
            capped=self.truncated,
            excluded=self.excluded,
            failure=self.failure,
        )


def no_fitness(judged: Episodes) -> str | None:
    """Why these episodes give no fitness, or None if they do."""
    if not judged.returns:
        return "it was not judged"
    return None if all(map(is_score, judged.returns)) else "an episode's return is not finite"


def foreseen_steps(trained: Episodes, steps: int, episodes: int, longest: int | None, copies: int) -> int:
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


def episode_metrics(trained: Episodes, evaluated: Episodes | None) -> dict[str, float]:
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
