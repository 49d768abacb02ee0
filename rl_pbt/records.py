"""The records that modules exchange. Each is frozen, checks itself, and converts to plain JSON and back.

What a task counts is a *unit*: an environment frame in reinforcement learning, an update, a sentence (`tasks.base.Words`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

JSON: TypeAlias = bool | int | float | str | list["JSON"] | dict[str, "JSON"] | None
Hyper: TypeAlias = float | int | str | bool
Hypers: TypeAlias = dict[str, Hyper]
Fields: TypeAlias = Mapping[str, Any]  # a JSON object as it was read, not checked yet

LARGEST_SCORE = 1e70  # scores stay below this, so that statistics of scores, which need their fourth powers, are finite too
LONGEST_S = 1e12  # seconds that a cost or a session stays below, so that a sum of them is finite
TRAINING_SCORE = "rollout/ep_rew_mean"  # Stable-Baselines3's name for the mean return of training episodes


def _plain(record: Proposal | Cost | Result | FinalTest) -> dict[str, JSON]:
    """A record's fields by name. `asdict` would copy them deeply, which takes half the time of a large population."""
    return {name: getattr(record, name) for name in record.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Work a method asks for: train `member` with `hypers` for `units` units from the checkpoint of proposal `parent`.

    Without a parent it starts from fresh weights. `hypers_from` is the proposal that the hyperparameters were copied from,
    explored since or not, if that is another member's (an exploit); otherwise None. With `units` 0 nothing is trained: the
    parent's checkpoint is evaluated again, on `episodes` other episodes (None: as many as usual). With `episodes` 0 it trains,
    but its fitness is not needed: it is evaluated only if that costs nothing.

    Raises ValueError for fields that contradict each other.
    """

    id: int
    member: int
    generation: int
    hypers: Hypers
    parent: int | None
    units: int
    hypers_from: int | None = None
    episodes: int | None = None

    def __post_init__(self) -> None:
        if min(self.id, self.member, self.generation, self.units) < 0:
            raise ValueError(f"a proposal counts from 0: {self}")
        if self.units == 0 and self.parent is None:
            raise ValueError(f"a proposal that does not train needs a parent to judge: {self}")
        if self.episodes is not None and (self.episodes < 0 or (self.episodes > 0) == self.trains):
            raise ValueError(
                f"one that trains is judged as usual or not at all, one that does not on an episode at least: {self}"
            )

    @property
    def trains(self) -> bool:
        """Whether it trains, rather than only evaluating again."""
        return self.units > 0

    @property
    def evaluates(self) -> bool:
        """Whether its fitness is needed."""
        return self.episodes != 0

    def to_json(self) -> dict[str, JSON]:
        """Plain JSON, which `options.built` reads."""
        return {**_plain(self), "hypers": dict(self.hypers)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a proposal cost, in units, updates and seconds.

    `cpu_s` and `wall_s` are this proposal's share of the time that its group spent on the training itself (in reinforcement
    learning, on environments and networks). `eval_cpu_s` is the part of `cpu_s` that evaluation took, 0 where a task does not
    measure it. `method_s` is its share of the search method's CPU time since the previous results:
    choosing what to ask for, and learning from those results.

    Raises ValueError for negative or absurd numbers, and for a part that is larger than the whole.
    """

    train_units: int = 0
    eval_units: int = 0
    updates: int = 0
    cpu_s: float = 0.0
    wall_s: float = 0.0
    method_s: float = 0.0
    eval_cpu_s: float = 0.0

    def __post_init__(self) -> None:
        seconds = self.cpu_s, self.wall_s, self.method_s, self.eval_cpu_s
        if min(self.train_units, self.eval_units, self.updates, *seconds) < 0:
            raise ValueError(f"a cost is not negative: {self}")
        if not max(seconds) < LONGEST_S:
            raise ValueError(f"nothing costs so many seconds: {self}")
        if self.eval_cpu_s > self.cpu_s:
            raise ValueError(f"evaluation takes no more than all of it: {self}")

    @property
    def units(self) -> int:
        """Units of training and evaluation together."""
        return self.train_units + self.eval_units

    def share(self, members: int) -> Cost:
        """An equal share of these seconds, for each of so many members; counts of units and updates are not divided."""
        return replace(
            self,
            cpu_s=self.cpu_s / members,
            wall_s=self.wall_s / members,
            method_s=self.method_s / members,
            eval_cpu_s=self.eval_cpu_s / members,
        )

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            train_units=self.train_units + other.train_units,
            eval_units=self.eval_units + other.eval_units,
            updates=self.updates + other.updates,
            cpu_s=self.cpu_s + other.cpu_s,
            wall_s=self.wall_s + other.wall_s,
            method_s=self.method_s + other.method_s,
            eval_cpu_s=self.eval_cpu_s + other.eval_cpu_s,
        )

    def to_json(self) -> dict[str, JSON]:
        """Plain JSON of its fields."""
        return _plain(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The outcome of `proposal`: a finite `fitness`, or `failure`, the reason why there is none; never both, never NaN.

    Neither is set if the fitness was not needed and finding it would have cost something; then `foreseen_units` is what the
    evaluation would have cost, as far as the task can tell.

    `returns` are the true scores of the episodes whose mean is the fitness. `metrics` are scalars for the learning curves.
    `lineage_units` is the training age of the checkpoint, in units along its chain of parents. `digest` is the checkpoint's
    fingerprint, None if there is no checkpoint. Raises ValueError for fields that contradict each other.
    """

    proposal: int
    fitness: float | None
    failure: str | None = None
    returns: tuple[float, ...] = ()
    cost: Cost = field(default_factory=Cost)
    metrics: Mapping[str, float] = field(default_factory=dict)
    lineage_units: int = 0
    digest: str | None = None
    foreseen_units: int = 0

    def __post_init__(self) -> None:
        if self.fitness is not None and self.failure is not None:
            raise ValueError(f"result {self.proposal} has a fitness or a failure, and not both")
        if self.foreseen_units and not self.unevaluated:
            raise ValueError(f"result {self.proposal} was judged: nothing has to be foreseen of that")
        if self.fitness is not None and not is_score(self.fitness):
            raise ValueError(f"result {self.proposal} has a fitness of {self.fitness}: report a failure instead")
        if self.fitness is not None and self.returns and not _is_mean(self.fitness, self.returns):
            raise ValueError(f"result {self.proposal} has a fitness of {self.fitness}, which is not the mean of its returns")
        if min(self.proposal, self.lineage_units, self.foreseen_units) < 0:
            raise ValueError(f"a result counts from 0: {self}")

    @property
    def unevaluated(self) -> bool:
        """Whether it was not evaluated, and did not fail."""
        return self.fitness is None and self.failure is None

    @property
    def rank_key(self) -> float:
        """Fitness for ranking; a failure ranks below everything. Raises ValueError if it was not evaluated."""
        if self.unevaluated:
            raise ValueError(f"result {self.proposal} was not judged: it has no rank")
        return -math.inf if self.fitness is None else self.fitness

    @property
    def score(self) -> float | None:
        """What curves show: the fitness or, if it was not evaluated, the mean return of its training episodes.

        None for a failure, and if no training episode ended or the training has no episodes.
        """
        trained = self.metrics.get(TRAINING_SCORE)
        if not self.unevaluated:
            return self.fitness
        return trained if trained is not None and is_score(trained) else None

    def to_json(self) -> dict[str, JSON]:
        """Plain JSON, which `options.built` reads."""
        return {**_plain(self), "returns": list(self.returns), "cost": self.cost.to_json(), "metrics": dict(self.metrics)}


def is_score(value: float) -> bool:
    """Whether `value` is finite and small enough that the mean of such scores is finite too."""
    return abs(value) < LARGEST_SCORE


def _is_mean(value: float, returns: Sequence[float]) -> bool:
    """Whether `value` is the mean of `returns`, except for rounding, which differs between tasks."""
    if not all(map(is_score, returns)):
        return False
    largest = max(map(abs, returns))
    return math.isclose(value, math.fsum(returns) / len(returns), rel_tol=1e-6, abs_tol=1e-6 * largest)


def pooled(first: Result, again: Result) -> Result:
    """`first`, with the episodes of a later evaluation of the same checkpoint added; unchanged if either of them failed.

    If `first` was not evaluated, it takes the fitness or the failure of the later evaluation.
    """
    if first.unevaluated:
        return replace(first, fitness=again.fitness, failure=again.failure, returns=again.returns, foreseen_units=0)
    if first.fitness is None or again.fitness is None:
        return first
    returns = first.returns + again.returns
    return replace(first, fitness=math.fsum(returns) / len(returns), returns=returns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A proposal with its result, as reports and plots read it from a ledger.

    `asked_after` is how many trainings had a result when it was proposed: the results that its choice could depend on.
    """

    proposal: Proposal
    result: Result
    asked_after: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalTest:
    """True scores of a checkpoint on the test seeds, which nothing was selected on; `capped` counts episodes cut short.

    `excluded` counts episodes without a score, because the environment failed or a reward was not finite; `failure` is the reason
    for the first of them. `metrics` are means of other measurements, under readable names; nothing is selected on them either.

    `proposal` is the one that left the checkpoint; None for a baseline, which has none. `held_out` is False if the user's own
    training has no test: then it was evaluated with other seeds, which means new data only if the seed determines the data.

    Raises ValueError for negative counts, and for scores or metrics that are not finite.
    """

    proposal: int | None
    returns: tuple[float, ...]
    cost: Cost
    capped: int = 0
    held_out: bool = True
    excluded: int = 0
    failure: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if min(self.capped, self.excluded, self.proposal or 0) < 0:
            raise ValueError(f"a test counts from 0: {self}")
        if not all(map(is_score, self.returns)):
            raise ValueError(f"the test of proposal {self.proposal} has a score that is not finite: exclude it instead")
        if not all(map(is_score, self.metrics.values())):
            raise ValueError(f"the test of proposal {self.proposal} has a metric that is not finite: leave it out")

    def to_json(self) -> dict[str, JSON]:
        """Plain JSON, which `options.built` reads."""
        return {**_plain(self), "returns": list(self.returns), "cost": self.cost.to_json(), "metrics": dict(self.metrics)}


def joined(shares: Sequence[FinalTest]) -> FinalTest:
    """One test from its shares (at least one), which are in the order of its episodes."""
    scored = [share for share in shares if share.returns]
    names = [name for name in scored[0].metrics if all(name in share.metrics for share in scored)] if scored else []
    episodes = sum(len(share.returns) for share in scored)
    return FinalTest(
        proposal=shares[0].proposal,
        returns=tuple(value for share in shares for value in share.returns),
        cost=sum((share.cost for share in shares), Cost()),
        capped=sum(share.capped for share in shares),
        held_out=all(share.held_out for share in shares),
        excluded=sum(share.excluded for share in shares),
        failure=next((share.failure for share in shares if share.failure is not None), None),
        metrics={name: sum(share.metrics[name] * len(share.returns) for share in scored) / episodes for name in names},
    )
