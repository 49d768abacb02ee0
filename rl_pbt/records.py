"""The nouns that cross module borders. Each is frozen, checks itself, and turns to plain JSON and back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

JSON: TypeAlias = bool | int | float | str | list["JSON"] | dict[str, "JSON"] | None
Hyper: TypeAlias = float | int | str
Hypers: TypeAlias = dict[str, Hyper]


def _plain(record: Any) -> dict[str, Any]:
    """A record's fields by name; `asdict` would copy them to the bottom, which takes half the time of a large population."""
    return {name: getattr(record, name) for name in record.__slots__}


class UserError(Exception):
    """Something the user can put right. Its message is one line that says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Work a method asks for: train `member` with `hypers` for `frames` frames from the checkpoint of proposal `parent`.

    `hypers_from` names the proposal whose hypers were explored, where that is another member's (an exploit); None else.
    With `frames` 0 nothing is trained: the parent's checkpoint is judged again, on as many other `episodes` (None: as usual).
    """

    id: int
    member: int
    generation: int
    hypers: Hypers
    parent: int | None
    frames: int
    hypers_from: int | None = None
    episodes: int | None = None

    def __post_init__(self) -> None:
        if min(self.id, self.member, self.generation, self.frames) < 0:
            raise ValueError(f"a proposal counts from 0: {self}")
        if self.frames == 0 and self.parent is None:
            raise ValueError(f"a proposal that does not train needs a parent to judge: {self}")
        if self.episodes is not None and (self.episodes < 1 or self.trains):
            raise ValueError(f"episodes are for judging again, one at least: {self}")

    @property
    def trains(self) -> bool:
        return self.frames > 0

    def to_json(self) -> dict[str, JSON]:
        return {**_plain(self), "hypers": dict(self.hypers)}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Proposal:
        return cls(**fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What was spent. Frames are environment frames; `cpu_s` and `wall_s` are seconds of environments and networks:
    this proposal's share of its group's."""

    train_frames: int = 0
    eval_frames: int = 0
    updates: int = 0
    cpu_s: float = 0.0
    wall_s: float = 0.0

    @property
    def frames(self) -> int:
        return self.train_frames + self.eval_frames

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            train_frames=self.train_frames + other.train_frames,
            eval_frames=self.eval_frames + other.eval_frames,
            updates=self.updates + other.updates,
            cpu_s=self.cpu_s + other.cpu_s,
            wall_s=self.wall_s + other.wall_s,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a proposal: a finite `fitness`, or `failure`, the reason there is none; never both, never NaN.

    `returns` are the true returns of the episodes the fitness is made of. `metrics` are scalars for the learning curves.
    `lineage_frames` is the training age of the checkpoint: frames along its chain of parents.
    """

    id: int
    fitness: float | None
    failure: str | None = None
    returns: tuple[float, ...] = ()
    cost: Cost = field(default_factory=Cost)
    metrics: Mapping[str, float] = field(default_factory=dict)
    lineage_frames: int = 0

    def __post_init__(self) -> None:
        if (self.fitness is None) == (self.failure is None):
            raise ValueError(f"result {self.id} needs a fitness or a failure, and not both")
        if self.fitness is not None and not math.isfinite(self.fitness):
            raise ValueError(f"result {self.id} has a fitness of {self.fitness}: report a failure instead")

    @property
    def rank_key(self) -> float:
        """Fitness for ranking; a failure ranks below everything."""
        return -math.inf if self.fitness is None else self.fitness

    def to_json(self) -> dict[str, JSON]:
        return {**_plain(self), "returns": list(self.returns), "cost": _plain(self.cost), "metrics": dict(self.metrics)}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Result:
        return cls(**{**fields, "returns": tuple(fields["returns"]), "cost": Cost(**fields["cost"])})


def pooled(first: Result, again: Result) -> Result:
    """`first` with the episodes of a later evaluation of the same checkpoint too; failed if either is."""
    if first.fitness is None or again.fitness is None:
        return first if first.fitness is None else replace(again, id=first.id)
    returns = first.returns + again.returns
    return replace(first, fitness=math.fsum(returns) / len(returns), returns=returns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A proposal with what came of it, as reports and plots read it from a ledger.

    `asked_after` is how many results were known when it was proposed: all that its choice can hang on.
    """

    proposal: Proposal
    result: Result
    asked_after: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """The chosen proposal's true returns on the test seeds, which nothing was selected on."""

    id: int
    returns: tuple[float, ...]
    cost: Cost
    capped: int = 0

    __test__ = False  # a noun of the field, not a test case for pytest to collect

    def to_json(self) -> dict[str, JSON]:
        return {**_plain(self), "returns": list(self.returns), "cost": _plain(self.cost)}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Test:
        return cls(**{**fields, "returns": tuple(fields["returns"]), "cost": Cost(**fields["cost"])})


def joined(shares: Sequence[Test]) -> Test:
    """The test of which these are the shares, in the order of its episodes."""
    return Test(
        id=shares[0].id,
        returns=tuple(value for share in shares for value in share.returns),
        cost=sum((share.cost for share in shares), Cost()),
        capped=sum(share.capped for share in shares),
    )
