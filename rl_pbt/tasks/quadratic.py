"""The toy problem of Jaderberg 2017, Fig. 2: the method's known-answer test, as a task like any other.

Two workers maximise Q = 1.2 - (theta0^2 + theta1^2), but each climbs a surrogate, 1.2 - (h0 theta0^2 + h1 theta1^2), with h = (1,
0) for one and (0, 1) for the other, so neither can reach the maximum alone. Without exploit and explore each is stuck at 1.2 -
0.9^2 = 0.39. A unit is a gradient step. `benchmarks.figure_2` runs the arms of the figure and draws it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from rl_pbt.arrays import Array
from rl_pbt.config import RunConfig
from rl_pbt.errors import UserError
from rl_pbt.options import Settings, option
from rl_pbt.records import Cost, FinalTest, Result, is_score
from rl_pbt.tasks.base import PATIENCE_S, Advance, FinalTestJob, IntervalJob, Machine, Task, TaskType, unheeded
from rl_pbt.tasks.checkpoints import Checkpoints
from rl_pbt.tasks.completing import completed
from rl_pbt.tasks.words import Words

START = (0.9, 0.9)
SEARCH = {"h0": "linear:0:1.5", "h1": "linear:0:1.5"}
# We do not know the paper's step size; this is the most common one in public reproductions.
LEARNING_RATE = 0.01
STEPS = Words(unit="gradient step", short_unit="step", score="Q", episode="evaluation", baseline="starting point")


def objective(theta: Array) -> float:
    """Q, the true objective; its maximum is 1.2 at the origin. `theta` is [2]."""
    return 1.2 - float(np.sum(theta**2))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class QuadraticOptions:
    """The surrogate's step size."""

    step_size: float = option(LEARNING_RATE, help="step size of the gradient ascent on the surrogate")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class QuadraticTask:
    """Gradient ascent on the surrogate; the weights are theta."""

    step_size: float = LEARNING_RATE

    subject = "the quadratic"
    patience_s = PATIENCE_S
    quantum = 1
    free_evaluation = True

    def interval(self, job: IntervalJob, advance: Advance = unheeded) -> list[Result]:
        results, states = [], {}
        for proposal, age in zip(job.proposals, job.lineage_units, strict=True):
            advance(0, proposal.id)
            theta = np.array(START) if proposal.parent is None else _theta(job.checkpoints, proposal.parent)
            shrink = 1.0 - 2.0 * self.step_size * np.array([float(proposal.hypers["h0"]), float(proposal.hypers["h1"])])
            with np.errstate(over="ignore", invalid="ignore"):
                theta = theta * shrink**proposal.units  # each gradient step multiplies by it
                fitness = objective(theta)
            advance(proposal.units, proposal.id)
            finite = is_score(fitness)
            if proposal.trains and finite:
                states[proposal.id] = {"theta": theta}
            results.append(
                Result(
                    proposal=proposal.id,
                    fitness=fitness if finite else None,
                    failure=None if finite else "diverged: Q is not finite",
                    returns=(fitness, fitness) if finite else (),  # two evaluations, for operators that need a spread: here 0
                    cost=Cost(train_units=proposal.units, updates=proposal.units),
                    metrics={"theta0": float(theta[0]), "theta1": float(theta[1])} if finite else {},
                    lineage_units=age + proposal.units,
                )
            )
        job.checkpoints.save_together(states)
        return results

    def test(self, job: FinalTestJob, advance: Advance = unheeded) -> FinalTest:
        value = objective(_theta(job.checkpoints, job.proposal))
        return FinalTest(proposal=job.proposal, returns=(value,) * len(job.episodes), cost=Cost())

    def baseline(self, root_seed: int, episodes: int, advance: Advance = unheeded) -> FinalTest:
        return FinalTest(proposal=None, returns=(objective(np.array(START)),) * episodes, cost=Cost())

    def rehearsal(self) -> QuadraticTask:
        return self

    def winner(self, proposal: int, checkpoints: Checkpoints) -> Array:
        """Theta, [2]."""
        return _theta(checkpoints, proposal)


def _theta(checkpoints: Checkpoints, proposal: int) -> Array:
    """The weights that a proposal left, [2]. Raises UserError for a checkpoint of something else."""
    theta = checkpoints.load(proposal).get("theta", np.array([]))
    if theta.shape != (2,) or theta.dtype != np.float64 or not np.isfinite(theta).all():
        raise UserError(f"the checkpoint of proposal {proposal} is not of the quadratic: restore it from a copy")
    return theta


@final
class QuadraticType(TaskType):
    """`tasks.base.TaskType` of the toy problem."""

    options = QuadraticOptions

    def complete(self, given: Settings, recorded: Settings | None) -> Settings:
        defaults = {"search": SEARCH, "budget": 200, "interval": 10, "population": 8, "hypers": {"h0": 1.0, "h1": 1.0}}
        return completed(given, recorded, defaults)

    def words(self, options: Settings) -> Words:
        return STEPS

    def title(self, options: Settings) -> str:
        return "the quadratic of Jaderberg 2017"

    def folder(self, options: Settings) -> str:
        return "quadratic"

    def evaluation(self, options: Settings) -> str:
        return "Q itself, which costs nothing"

    def not_exported(self, options: Settings) -> str:
        """There is no policy."""
        return "the quadratic has no policy: its winner is two numbers"

    def make(self, config: RunConfig, machine: Machine) -> QuadraticTask:
        return QuadraticTask(step_size=config.task_options["step_size"])

    def describe(self, config: RunConfig, task: Task) -> list[tuple[str, str]]:
        return [("task", "the toy problem of Jaderberg 2017, Fig. 2"), ("evaluated on", "the true objective")]


TYPE = QuadraticType()
