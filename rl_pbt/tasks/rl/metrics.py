"""What is reported of an interval of an agent."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rl_pbt.arrays import Array
from rl_pbt.records import Cost, Proposal, Result
from rl_pbt.tasks.playing import episode_metrics, no_fitness
from rl_pbt.tasks.rl.environments import Episodes

# SB3's names, so that existing dashboards keep working. There, `entropy_loss` is minus the entropy.
TAGS = {
    "policy_loss": "train/policy_gradient_loss",
    "value_loss": "train/value_loss",
    "entropy": "train/entropy_loss",
}


def metrics_of(member: int, learned: Mapping[str, Array], trained: Episodes, evaluated: Episodes | None) -> dict[str, float]:
    """One member's metrics, from what all members `learned` (each [P]) and from its episodes.

    Finite numbers under SB3's names or, where SB3 has none, the agent's own.
    """
    metrics = {TAGS.get(name, f"train/{name}"): float(values[member]) for name, values in learned.items()}
    if "entropy" in learned:
        metrics[TAGS["entropy"]] *= -1.0
    metrics |= episode_metrics(trained, evaluated)
    return {name: value for name, value in metrics.items() if np.isfinite(value)}


def result_of(
    proposal: Proposal,
    failure: str | None,
    played: Episodes,
    cost: Cost,
    metrics: Mapping[str, float],
    foreseen_units: int,
    parent_units: int,
) -> Result:
    """The result of a proposal whose parent is `parent_units` old. Fitness is the mean return of the episodes `played`.

    It has no fitness if it failed or if no evaluation was asked for; the latter would have cost `foreseen_units`.
    """
    if played.returns or proposal.evaluates:
        failure = failure or no_fitness(played)
    unevaluated = not (failure or played.returns)
    return Result(
        proposal=proposal.id,
        fitness=None if failure or unevaluated else float(np.mean(played.returns)),
        failure=failure,
        returns=() if failure else tuple(played.returns),
        cost=cost,
        metrics=metrics,
        lineage_units=parent_units + cost.train_units,
        foreseen_units=foreseen_units if unevaluated else 0,
    )
