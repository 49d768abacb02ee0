"""Members that follow the curves of a table: nothing is trained, and an interval takes microseconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import final

import numpy as np

from rl_pbt import seeds
from rl_pbt.arrays import State
from rl_pbt.errors import UserError
from rl_pbt.records import Cost, FinalTest, Hyper, Proposal, Result, is_score
from rl_pbt.tasks.base import PATIENCE_S, Advance, FinalTestJob, IntervalJob, unheeded
from rl_pbt.tasks.checkpoints import Checkpoints
from rl_pbt.tasks.table.curves import LearningCurve, Position, TableCurves, switched

FAILED = "failed, as the recorded training did"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """What a checkpoint holds: the recorded `seed` that a member follows, its `place` in the space, and where it stands.

    `score` is its true mean score, `sd` the standard deviation of its episodes, `cost` the units of one; `member` left it.
    """

    member: int
    seed: int
    place: tuple[float, ...]
    position: Position
    score: float
    sd: float
    cost: float

    def state(self) -> State:
        """The same as arrays."""
        return {
            "whose": np.array([self.member, self.seed], dtype=np.int64),
            "place": np.array(self.place),
            "position": np.array([self.position.units, self.position.above]),
            "score": np.array([self.score]),
            "noise": np.array([self.sd, self.cost]),
        }


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TableTask:
    """Members follow `curves`, and are evaluated on `eval_episodes`; `hypers` are the values of those that are not searched."""

    curves: TableCurves
    eval_episodes: int
    hypers: Mapping[str, Hyper] = field(default_factory=dict)

    subject = "the table"
    patience_s = PATIENCE_S
    quantum = 1

    @property
    def free_evaluation(self) -> bool:
        return self.curves.free_evaluation

    def interval(self, job: IntervalJob, advance: Advance = unheeded) -> list[Result]:
        results, states = [], {}
        for proposal, age in zip(job.proposals, job.lineage_units, strict=True):
            advance(0, proposal.id)
            member, curve = self._trained(proposal, job)
            advance(proposal.units, proposal.id)
            failed = proposal.trains and member.position.units > curve.ends
            if proposal.trains and not failed:
                states[proposal.id] = member.state()
            results.append(_failed(proposal, age) if failed else self._result(proposal, member, age, job.root_seed))
        job.checkpoints.save_together(states)
        return results

    def test(self, job: FinalTestJob, advance: Advance = unheeded) -> FinalTest:
        member = self._load(job.checkpoints, job.proposal)
        drawn = [
            seeds.rng(job.root_seed, purpose="table/test", member=episode, generation=job.proposal).standard_normal()
            for episode in job.episodes
        ]
        scores = tuple(float(member.score + member.sd * z) for z in drawn)
        return FinalTest(proposal=job.proposal, returns=scores, cost=Cost(eval_units=round(member.cost * len(scores))))

    def baseline(self, root_seed: int, episodes: int, advance: Advance = unheeded) -> FinalTest | None:
        header = self.curves.header
        if not header.words.get("baseline"):
            return None
        drawn = seeds.rng(root_seed, purpose="table/baseline").standard_normal(episodes)
        return FinalTest(proposal=None, returns=tuple((header.start + header.start_sd * drawn).tolist()), cost=Cost())

    def rehearsal(self) -> TableTask:
        return self

    def winner(self, proposal: int, checkpoints: Checkpoints) -> Member:
        """Its true mean score, and where it stands."""
        return self._load(checkpoints, proposal)

    def _trained(self, proposal: Proposal, job: IntervalJob) -> tuple[Member, LearningCurve]:
        """Where the member stands after the interval, and the curve that it followed."""
        place = self.curves.place({**self.hypers, **proposal.hypers})
        parent = None if proposal.parent is None else self._load(job.checkpoints, proposal.parent)
        seed = self._luck(proposal, job.root_seed) if parent is None or parent.member != proposal.member else parent.seed
        curve = self.curves.curve(place, seed)
        if parent is None:
            position = Position()
        elif (place, seed) == (parent.place, parent.seed):
            position = parent.position
        else:
            position = switched(curve, parent.score, parent.position.units)
        if proposal.trains:
            position = position.after(proposal.units)
        units = position.units
        return Member(
            member=proposal.member,
            seed=seed,
            place=place,
            position=position,
            score=position.score(curve),
            sd=curve.spread(units),
            cost=curve.cost(units),
        ), curve

    def _luck(self, proposal: Proposal, root_seed: int) -> int:
        """The recorded seed that a member follows from now on; a copy draws its own."""
        known = self.curves.header.seeds
        rng = seeds.rng(root_seed, purpose="table/seed", member=proposal.member, generation=proposal.generation)
        return known[int(rng.integers(len(known)))]

    def _load(self, checkpoints: Checkpoints, proposal: int) -> Member:
        """What a proposal left. Raises UserError for a checkpoint of something else, or of another table."""
        member = _member(checkpoints, proposal)
        if member.seed not in self.curves.header.seeds:
            raise UserError(f"the checkpoint of proposal {proposal} is not of this table: restore it from a copy")
        return member

    def _result(self, proposal: Proposal, member: Member, age: int, root_seed: int) -> Result:
        """The result of a member that did not fail; without a fitness if no evaluation was asked for and it would not be free."""
        trained = Result(
            proposal=proposal.id,
            fitness=None,
            cost=Cost(train_units=proposal.units),
            metrics={"table/true_score": member.score},
            lineage_units=age + proposal.units,
        )
        if not (proposal.evaluates or self.free_evaluation):
            return replace(trained, foreseen_units=round(member.cost * self.eval_episodes))
        scores = self._evaluated(proposal, member, root_seed)
        if not all(map(is_score, scores)):
            return _failed(proposal, age)
        cost = trained.cost + Cost(eval_units=round(member.cost * len(scores)))
        return replace(trained, fitness=sum(scores) / len(scores), returns=scores, cost=cost)

    def _evaluated(self, proposal: Proposal, member: Member, root_seed: int) -> tuple[float, ...]:
        """The scores of an evaluation."""
        rng = seeds.rng(root_seed, purpose="table/evaluation", member=proposal.member, generation=proposal.generation)
        scores = member.score + member.sd * rng.standard_normal(proposal.episodes or self.eval_episodes)
        return tuple(scores.tolist())


def _failed(proposal: Proposal, age: int) -> Result:
    """The result of a member that failed: it has trained for the interval, as the recorded training had."""
    cost = Cost(train_units=proposal.units)
    return Result(proposal=proposal.id, fitness=None, failure=FAILED, cost=cost, lineage_units=age + proposal.units)


def _member(checkpoints: Checkpoints, proposal: int) -> Member:
    """What a checkpoint holds. Raises UserError for a checkpoint of something else."""
    state = checkpoints.load(proposal)
    try:
        (member, seed), (units, above), (score,), (sd, cost) = (
            state[name].tolist() for name in ("whose", "position", "score", "noise")
        )
        place = tuple(map(float, state["place"].tolist()))
        if not all(map(np.isfinite, (units, above, score, sd, cost, *place))):
            raise ValueError("a number is not finite")
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(f"the checkpoint of proposal {proposal} is not of a table ({error}): restore it from a copy") from None
    position = Position(units=float(units), above=float(above))
    return Member(
        member=int(member), seed=int(seed), place=place, position=position, score=float(score), sd=float(sd), cost=float(cost)
    )
