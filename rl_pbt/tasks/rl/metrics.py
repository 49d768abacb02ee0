"""What a group of agents went through in an interval, and what is reported of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import final

import numpy as np

from rl_pbt.arrays import Array, State
from rl_pbt.records import Cost, Proposal, Result
from rl_pbt.tasks.base import DIVERGED
from rl_pbt.tasks.on_environments.episodes import Episodes, episode_metrics, no_fitness

# SB3's names, so that existing dashboards keep working. There, `entropy_loss` is minus the entropy.
TAGS = {
    "policy_loss": "train/policy_gradient_loss",
    "value_loss": "train/value_loss",
    "entropy": "train/entropy_loss",
}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What the members of a group did in their environments, to learn or to be judged.

    `metrics` are those of learning, each [P], and `left` has the unfinished episodes for a member's checkpoint.
    """

    episodes: Sequence[Episodes]
    frames: Sequence[int]
    failed: Mapping[int, str]  # the reason, of each member whose environment failed
    metrics: Mapping[str, Array] = field(default_factory=dict)
    left: Mapping[int, State] = field(default_factory=dict)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Lived:
    """The interval of a group: what was played, who diverged, the updates of each member, and a member's share of the time."""

    trained: Played
    judged: Played
    diverged: Set[int]
    updates: Array  # [P]
    share: Cost

    def failure(self, member: int) -> str | None:
        """Why a member failed, or None: if its weights are useless, that is the reason, whatever its environment did."""
        if member in self.diverged:
            return DIVERGED
        return self.trained.failed.get(member, self.judged.failed.get(member))

    def cost(self, member: int) -> Cost:
        """What a member cost."""
        return replace(
            self.share,
            train_units=self.trained.frames[member],
            eval_units=self.judged.frames[member],
            updates=int(self.updates[member]),
        )

    def metrics(self, member: int) -> dict[str, float]:
        """A member's metrics, also if it diverged; none if its environment failed."""
        broken = member in self.trained.failed or member in self.judged.failed
        if broken and member not in self.diverged:
            return {}
        evaluated = self.judged.episodes[member] if self.judged.frames[member] else None
        return metrics_of(member, self.trained.metrics, self.trained.episodes[member], evaluated)


def metrics_of(member: int, learned: Mapping[str, Array], trained: Episodes, evaluated: Episodes | None) -> dict[str, float]:
    """One member's metrics, from what all members `learned` (each [P]) and from its episodes.

    Finite numbers under SB3's names or, where SB3 has none, the agent's own.
    """
    metrics = {TAGS.get(name, f"train/{name}"): float(values[member]) for name, values in learned.items()}
    if "entropy" in learned:
        metrics[TAGS["entropy"]] *= -1.0
    metrics |= episode_metrics(trained, evaluated)
    return {name: value for name, value in metrics.items() if np.isfinite(value)}


def result_of(proposal: Proposal, lived: Lived, member: int, *, foreseen_units: int, parent_units: int) -> Result:
    """The result of a proposal whose parent is `parent_units` old, and which was that member of the group.

    It has no fitness if it failed or if no evaluation was asked for; the latter would have cost `foreseen_units`.
    """
    played, cost, failure = lived.judged.episodes[member], lived.cost(member), lived.failure(member)
    if played.returns or proposal.evaluates:
        failure = failure or no_fitness(played)
    unevaluated = not (failure or played.returns)
    return Result(
        proposal=proposal.id,
        fitness=None if failure or unevaluated else float(np.mean(played.returns)),
        failure=failure,
        returns=() if failure else played.returns,
        cost=cost,
        metrics=lived.metrics(member),
        lineage_units=parent_units + cost.train_units,
        foreseen_units=foreseen_units if unevaluated else 0,
    )
