"""What is reported of an interval of an agent."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rl_pbt.arrays import Array
from rl_pbt.records import Cost, Proposal, Result
from rl_pbt.tasks.on_environments.episodes import Episodes, episode_metrics, no_fitness

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
    judged: Episodes,
    cost: Cost,
    metrics: Mapping[str, float],
    foreseen_units: int,
    parent_units: int,
) -> Result:
    """The result of a proposal whose parent is `parent_units` old, judged by these episodes.

    It has no fitness if it failed or if no evaluation was asked for; the latter would have cost `foreseen_units`.
    """
    if judged.returns or proposal.judges:
        failure = failure or no_fitness(judged)
    unjudged = not (failure or judged.returns)
    return Result(
        proposal=proposal.id,
        fitness=None if failure or unjudged else float(np.mean(judged.returns)),
        failure=failure,
        returns=() if failure else judged.returns,
        cost=cost,
        metrics=metrics,
        lineage_units=parent_units + cost.train_units,
        foreseen_units=foreseen_units if unjudged else 0,
    )
