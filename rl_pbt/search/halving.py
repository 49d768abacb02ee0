"""Successive halving: many trials train a little, the best third trains on three times as long, and so on.

ASHA (Li et al. 2020, arXiv 1810.05934, Algorithm 2) decides whenever a worker is free; Hyperband (Li et al. 2017, arXiv
1603.06560, Algorithm 1) halves brackets of trials, in each of which more or fewer trials begin with less or more training.

A trial is a member number; it trains from rung to rung, from its own checkpoint. The last rung ends where any other method's
member ends (R of the papers), the first after R/3^s, with s as large as leaves an interval at least.

Deviations from the papers. Their budgets have no end. Ours has, and when what is left is not enough for what the rule wants,
the most promising of the waiting trials trains on, for what is left at most. Nor do the papers pay for judging: until
its price is known no more trials begin than the population has members. The papers return the best result of any rung; here the
winner is among the trials that reached the highest rung, since a result after little training is not of what is compared.
"""

from __future__ import annotations

from bisect import insort
from typing import final

from rl_pbt.errors import BadSetting
from rl_pbt.records import Proposal, Result
from rl_pbt.search.base import Bookkeeping
from rl_pbt.search.budget import Plan
from rl_pbt.search.problem import Problem

ETA = 3  # Hyperband's authors recommend 3 or 4; trainings here are few intervals long, and 3 leaves more rungs


def resources(plan: Plan) -> list[int]:
    """Units that a trial has trained for at the end of each rung. Raises BadSetting where there is nothing to halve."""
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
    """The trials that were judged after so many units, and which of them wait to be continued; failures never do."""

    def __init__(self, units: int) -> None:
        self.units = units
        self.judging = 0  # units, at most, that judging a trial here took
        self._standing: list[tuple[float, float, int]] = []  # best first
        self._waiting: set[int] = set()

    def enter(self, trial: int, result: Result, draw: float) -> None:
        """`draw` orders trials of equal fitness."""
        self.judging = max(self.judging, result.cost.eval_units)
        insort(self._standing, (-result.rank_key, draw, trial))
        if result.failure is None:
            self._waiting.add(trial)

    def leave(self, trial: int) -> None:
        """The trial is continued, or has been."""
        self._waiting.discard(trial)

    def waiting(self) -> list[int]:
        """Trials that wait, best first."""
        return [trial for _, _, trial in self._standing if trial in self._waiting]

    def best_waiting(self) -> int | None:
        """The best that waits."""
        return self._first_of(len(self._standing))

    def promotable(self) -> int | None:
        """The best that waits among the top third of all that ever were here."""
        return self._first_of(len(self._standing) // ETA)

    def _first_of(self, best: int) -> int | None:
        return next((trial for _, _, trial in self._standing[:best] if trial in self._waiting), None)


class Halving(Bookkeeping):
    """Trials, and the rungs that they train to. A job takes a trial to the end of a rung, or is cut short by the budget."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.rungs = [Rung(units) for units in resources(problem.plan)]
        self.trained: dict[int, int] = {}  # units, by trial
        self._goals: dict[int, int] = {}  # of each job underway, by id: the rung that it trains to
        self._towards = [0] * len(self.rungs)  # how many of them train to each rung
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
        """Units from where the trial is to the end of the rung."""
        return self.rungs[rung].units - self.trained.get(trial, 0)

    def room(self, trial: int, rung: int) -> int:
        """As many units of that step as there is budget for, should all that is underway cost as much to judge as it can."""
        judging = sum(jobs * self.judging(goal) for goal, jobs in enumerate(self._towards)) + self.judging(rung)
        left = self.plan.total - self.account.spent.units - self._units_underway - judging
        return self.account.room(min(self.step(trial, rung), max(0, left)))

    def judging(self, rung: int) -> int:
        """Units, at most, that judging a trial at that rung takes.

        The mean over all is too little: a trial that has learned for longer may play for longer. So at each rung where nobody was
        judged yet it is taken to cost three times as much as at the one below.
        """
        most = 0
        for lower in self.rungs[: rung + 1]:
            most = max(most, lower.judging) if lower.judging else most * ETA
        return most

    def fits(self, trial: int, rung: int) -> bool:
        """Whether there is budget for the whole step."""
        return self.room(trial, rung) == self.step(trial, rung)

    def train(self, trial: int, rung: int, units: int) -> Proposal:
        """Towards the end of the rung."""
        for lower in self.rungs[:rung]:
            lower.leave(trial)
        proposal = self.resume(trial, units) if trial in self.last else self.begin(trial, units)
        self._goals[proposal.id] = rung
        self._towards[rung] += 1
        self._units_underway += units
        return proposal

    def remainder(self) -> Proposal | None:
        """The best trial that waits at the highest rung, otherwise a new one, trains on for what is left at most.

        None where that is less than an interval, which the final re-evaluation makes better use of; there is none if judging is
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

    @property
    def fitness(self) -> dict[int, float]:
        """Of the trials among which the winner is sought: those that have not failed and reached the highest rung."""
        reached = {trial: sum(rung.units <= self.trained[trial] for rung in self.rungs) for trial in self.healthy()}
        highest = max(reached.values(), default=0)
        return {trial: self.results[trial].rank_key for trial, rungs in reached.items() if rungs == highest}
