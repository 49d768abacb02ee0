"""Successive halving: many trials train a little, the best third trains three times as long, and so on.

ASHA (Li et al. 2020, arXiv 1810.05934, Algorithm 2) decides whenever a worker is free. Hyperband (Li et al. 2017, arXiv
1603.06560, Algorithm 1) halves brackets of trials; brackets differ in how many trials begin, and with how much training.

A trial is a member number; it trains from rung to rung, from its own checkpoint. The last rung ends where a member of any other
method ends (R in the papers), and the first after R/3^s, with the largest s for which that is at least one interval.

Deviations from the papers:

* Their budgets have no end. Ours does; when the rest is not enough for what the rule wants, the most promising waiting trial
  trains on, for as much as is left at most.
* The papers do not charge for evaluation. Here, no more trials begin than the population has members until its cost is known.
* The papers return the best result of any rung. Here the winner is among the trials that reached the highest rung, since other
  methods are compared after full training.
"""

from __future__ import annotations

from bisect import insort
from typing import final

from rl_pbt.errors import BadSetting
from rl_pbt.records import Proposal, Result
from rl_pbt.search.base import Bookkeeping
from rl_pbt.search.budget import Plan
from rl_pbt.search.problem import Problem

ETA = 3  # Hyperband's authors recommend 3 or 4; training here is only a few intervals long, and 3 leaves more rungs


def resources(plan: Plan) -> list[int]:
    """Units that a trial has trained for at the end of each rung. Raises BadSetting if there would be only one rung."""
    rungs = 1
    while plan.interval * ETA**rungs <= plan.budget_per_member:
        rungs += 1
    if rungs == 1:
        raise BadSetting(
            "interval",
            f"must be a third of the budget, {plan.budget_per_member}, or less for asha and hyperband, which cut trainings "
            f"short, but is {plan.interval}",
        )
    return [plan.budget_per_member // ETA**above // plan.quantum * plan.quantum for above in reversed(range(rungs))]


@final
class Rung:
    """The trials that were evaluated after `units` of training, and which of them wait to be continued; failures never do."""

    def __init__(self, units: int) -> None:
        self.units = units
        self.evaluation_units = 0  # the most units that evaluating a trial here took
        self._standing: list[tuple[float, float, int]] = []  # best first
        self._waiting: set[int] = set()

    def enter(self, trial: int, result: Result, draw: float) -> None:
        """Add a trial and its result; `draw` orders trials of equal fitness."""
        self.evaluation_units = max(self.evaluation_units, result.cost.eval_units)
        insort(self._standing, (-result.rank_key, draw, trial))
        if result.failure is None:
            self._waiting.add(trial)

    def leave(self, trial: int) -> None:
        """The trial no longer waits: it is being continued, or has been."""
        self._waiting.discard(trial)

    def waiting(self) -> list[int]:
        """The waiting trials, best first."""
        return [trial for _, _, trial in self._standing if trial in self._waiting]

    def best_waiting(self) -> int | None:
        """The best waiting trial."""
        return self._first_of(len(self._standing))

    def promotable(self) -> int | None:
        """The best waiting trial among the top third of all trials that ever finished this rung."""
        return self._first_of(len(self._standing) // ETA)

    def _first_of(self, best: int) -> int | None:
        return next((trial for _, _, trial in self._standing[:best] if trial in self._waiting), None)


class Halving(Bookkeeping):
    """Trials, and the rungs that they train to. A job trains a trial to the end of a rung, unless the budget cuts it short."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.rungs = [Rung(units) for units in resources(problem.plan)]
        self.trained: dict[int, int] = {}  # by trial: units
        self._goals: dict[int, int] = {}  # by id of the jobs underway: the rung that it trains to
        self._towards = [0] * len(self.rungs)  # number of jobs underway to each rung
        self._units_underway = 0

    def tell(self, result: Result) -> None:
        proposal = self.underway.get(result.proposal)
        super().tell(result)
        if proposal is None or not proposal.trains:
            return
        trial = proposal.member
        goal = self._goals.pop(result.proposal)
        self._towards[goal] -= 1
        self._units_underway -= proposal.units
        self.trained[trial] = self.trained.get(trial, 0) + proposal.units
        if self.trained[trial] == self.rungs[goal].units:
            self.rungs[goal].enter(trial, result, float(self.rng("place among equals", member=trial).random()))

    @property
    def new_trial(self) -> int:
        """The number of the next trial to begin."""
        return len(self._begun)

    def step(self, trial: int, rung: int) -> int:
        """Units that the trial still has to train to reach the end of the rung."""
        return self.rungs[rung].units - self.trained.get(trial, 0)

    def room(self, trial: int, rung: int) -> int:
        """How many units of that step the budget allows if everything underway is as expensive to evaluate as it can be."""
        underway = sum(jobs * self.evaluation_units(goal) for goal, jobs in enumerate(self._towards))
        evaluations = underway + self.evaluation_units(rung)
        left = self.plan.total - self.account.spent.units - self._units_underway - evaluations
        return self.account.room(min(self.step(trial, rung), max(0, left)))

    def evaluation_units(self, rung: int) -> int:
        """The most units that evaluating a trial at that rung is assumed to take.

        The mean over all rungs would be too low: a trial that has trained longer may play longer episodes. So at a rung where no
        trial has been evaluated yet, the cost is assumed to be three times that of the rung below.
        """
        most = 0
        for lower in self.rungs[: rung + 1]:
            most = max(most, lower.evaluation_units) if lower.evaluation_units else most * ETA
        return most

    def fits(self, trial: int, rung: int) -> bool:
        """Whether the budget allows the whole step."""
        return self.room(trial, rung) == self.step(trial, rung)

    def train(self, trial: int, rung: int, units: int) -> Proposal:
        """A proposal that trains the trial for `units` units towards the end of the rung."""
        for lower in self.rungs[:rung]:
            lower.leave(trial)
        proposal = self.resume(trial, units) if trial in self.last else self.begin(trial, units)
        self._goals[proposal.id] = rung
        self._towards[rung] += 1
        self._units_underway += units
        return proposal

    def remainder(self) -> Proposal | None:
        """Train the best waiting trial of the highest rung, otherwise a new one, for as much as is left at most.

        None if nothing is left, or less than an interval: the final re-evaluation makes better use of that, unless evaluation is
        free.
        """
        trial, rung = self._most_promising()
        units = self.room(trial, rung)
        enough = units >= self.plan.interval or not self.account.evaluation
        return self.train(trial, rung, units) if units and enough else None

    def _most_promising(self) -> tuple[int, int]:
        for above in range(len(self.rungs) - 1, 0, -1):
            if (trial := self.rungs[above - 1].best_waiting()) is not None:
                return trial, above
        return self.new_trial, 0

    def contenders(self) -> list[int]:
        """The trials that have not failed and have reached the highest rung."""
        reached = {trial: sum(rung.units <= self.trained[trial] for rung in self.rungs) for trial in self.healthy()}
        highest = max(reached.values(), default=0)
        return [trial for trial, rungs in reached.items() if rungs == highest]
