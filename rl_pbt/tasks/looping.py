"""What a class and a program of the user's have in common: members train one after another, and each fails for itself.

The task asks for one `Turn` at a time and gets `Done`, or `Failed` with the reason. Seeds have 31 bits, which every library
takes. Training seeds belong to one member and generation, so that a clone does not inherit its donor's random stream. Evaluation
seeds are shared by all members of a generation. Those of the final test are never used before it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, final

from rl_pbt import seeds
from rl_pbt.arrays import State
from rl_pbt.errors import BadSetting, UserError
from rl_pbt.options import Settings
from rl_pbt.records import FinalTest, Hyper, Hypers, Proposal, Result
from rl_pbt.tasks.answers import Failed
from rl_pbt.tasks.base import Advance, FinalTestJob, IntervalJob
from rl_pbt.tasks.checkpoints import Checkpoints
from rl_pbt.tasks.clock import Clock
from rl_pbt.tasks.completing import completed
from rl_pbt.tasks.trees import json_array, packed, read_json_array, unpacked
from rl_pbt.tasks.words import Words

ABOUT = "about"  # the array of a checkpoint that holds, as JSON, the hyperparameters and the seed it was trained with


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a checkpoint holds: a state, and the hyperparameters and the seed of its training."""

    hypers: Hypers
    seed: int
    state: object


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What is asked of one member: train for `units` from `parent` (None: from scratch), then be evaluated on the seeds, if any.

    `hypers` are all hyperparameters, searched and held. With `units` 0 nothing is trained.
    """

    purpose: Literal["train", "evaluate", "test"]
    hypers: Hypers
    units: int
    seed: int
    evaluation_seeds: tuple[int, ...]
    parent: Kept | None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The outcome of a turn; a `checkpoint` only if it trained."""

    scores: tuple[float, ...]
    updates: int
    checkpoint: State | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    eval_cpu_s: float = 0.0  # CPU seconds of the evaluations; 0 where they are not measured apart


Work: TypeAlias = Callable[[Turn], Done]


def one_by_one(
    job: IntervalJob, work: Work, *, held: Mapping[str, Hyper], evaluations: int, quantum: int, advance: Advance
) -> list[Result]:
    """An interval, one member after another. A failure is charged like a success, so that no method can retry for ever."""
    results = []
    for proposal, age in zip(job.proposals, job.lineage_units, strict=True):
        advance(0, proposal.id)
        units = proposal.units // quantum * quantum
        clock = Clock()
        done, failure = Done(scores=(), updates=0), None
        turn = _turn(job, proposal, units, held, evaluations)
        try:
            done = work(turn)
        except Failed as failed:
            failure = str(failed)
        cost = clock.cost(train_units=units, updates=done.updates, eval_cpu_s=done.eval_cpu_s)
        if done.checkpoint is not None:
            job.checkpoints.save(proposal.id, done.checkpoint)
        advance(units, proposal.id)
        results.append(
            Result(
                proposal=proposal.id,
                fitness=None if failure or not done.scores else math.fsum(done.scores) / len(done.scores),
                failure=failure,
                returns=done.scores,
                cost=cost,
                metrics=done.metrics,
                lineage_units=age + units,
            )
        )
    return results


def _turn(job: IntervalJob, proposal: Proposal, units: int, held: Mapping[str, Hyper], evaluations: int) -> Turn:
    first = seeds.environment_seed(job.root_seed, split="evaluate", generation=proposal.generation)
    return Turn(
        purpose="train" if proposal.trains else "evaluate",
        hypers={**held, **proposal.hypers},
        units=units,
        seed=seeds.environment_seed(job.root_seed, split="train", member=proposal.member, generation=proposal.generation),
        evaluation_seeds=tuple(range(first, first + (evaluations if proposal.episodes is None else proposal.episodes))),
        parent=None if proposal.parent is None else kept(job.checkpoints, proposal.parent),
    )


def tested(job: FinalTestJob, work: Work, advance: Advance) -> FinalTest:
    """Scores of a finished proposal on the test seeds; they are excluded if it fails there."""
    parent = kept(job.checkpoints, job.proposal)
    found = seeds.test_seeds(job.root_seed, job.episodes)
    turn = Turn(purpose="test", hypers=parent.hypers, units=0, seed=found[0], evaluation_seeds=found, parent=parent)
    advance(0, job.proposal)
    return scored(job.proposal, len(found), lambda: work(turn).scores)


def scored(proposal: int | None, episodes: int, score: Callable[[], tuple[float, ...]]) -> FinalTest:
    """The test of a proposal or, for None, of the baseline, with the scores that `score` gives; all are excluded if it fails."""
    clock = Clock()
    try:
        return FinalTest(proposal=proposal, returns=score(), cost=clock.test_cost())
    except Failed as failed:
        return FinalTest(proposal=proposal, returns=(), cost=clock.test_cost(), excluded=episodes, failure=str(failed))


def checkpoint_of(turn: Turn, state: object) -> State:
    """A state after that turn, copied, as checkpoints are saved. Raises Failed for a state that cannot be saved."""
    try:
        arrays = packed(state)
    except UserError as error:
        raise Failed(str(error)) from None
    about = json.dumps({"hypers": turn.hypers, "seed": turn.seed}, sort_keys=True)  # sorted: the same in any session of the run
    return {**arrays, ABOUT: json_array(about)}


def kept(checkpoints: Checkpoints, proposal: int) -> Kept:
    """What that proposal left. Raises UserError if its checkpoint is absent, damaged or of another task."""
    arrays = checkpoints.load(proposal)
    state = unpacked(arrays)
    try:
        about = read_json_array(arrays[ABOUT])
        return Kept(hypers=about["hypers"], seed=about["seed"], state=state)
    except (KeyError, ValueError, TypeError):
        raise UserError(f"the checkpoint of proposal {proposal} is damaged: restore it, or start a new run") from None


def completed_with_search(given: Settings, recorded: Settings | None) -> Settings:
    """`completed`, for tasks that have no search space of their own. Raises BadSetting if none is given."""
    whole = completed(given, recorded)
    if not whole["search"]:
        raise BadSetting("search", "is missing: give at least one hyperparameter a range, as in lr=log:1e-5:1e-1")
    return whole


def words_for(options: Settings, baseline: str = "") -> Words:
    """The nouns of a task whose user chose them."""
    return Words(
        unit=options["unit"], short_unit=options["unit"], score=options["score"], episode="evaluation", baseline=baseline
    )


def evaluation_of(options: Settings) -> str:
    """How fitness is computed, worded to follow "Fitness is"."""
    evaluations = "one evaluation" if options["evaluations"] == 1 else f"{options['evaluations']} evaluations"
    return (
        f"the mean {options['score']} of {evaluations} after each interval; all members of a generation get the same seeds, and "
        f"evaluation costs no {words_for(options).units}"
    )
