"""Hyperband: brackets of successive halving (Li et al. 2017, arXiv 1603.06560, Algorithm 1), based on `halving`."""

from __future__ import annotations

from typing import final

from rl_pbt.records import Proposal
from rl_pbt.search.halving import ETA, Halving
from rl_pbt.search.problem import Problem


def bracket_sizes(rungs: int) -> list[list[int]]:
    """Trials at each rung of each bracket of Hyperband with `rungs` rungs (Li 2017, Algorithm 1); s falls from rungs - 1."""
    return [halved(-(-rungs * ETA**s // (s + 1)), s) for s in reversed(range(rungs))]


def halved(trials: int, times: int) -> list[int]:
    """How many of the trials reach each of `times` + 1 rungs: a third from one to the next, but always at least one."""
    return [max(1, trials // ETA**i) for i in range(times + 1)]


@final
class Hyperband(Halving):
    """Runs bracket after bracket, from the one with the most trials to the one without halving, and then from the start again.

    A bracket begins with fewer trials if its full size would exceed the budget.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self._brackets = 0  # begun so far
        self._trials: set[int] = set()  # of the current bracket, those not eliminated yet
        self._to_come: list[int] = []  # number of trials at each of its rungs that has not begun

    def work(self) -> list[Proposal]:
        if self.underway:
            return []
        asked: list[Proposal] = []
        for trial, rung in self._next_rung():
            if not self.fits(trial, rung):
                break
            asked.append(self.train(trial, rung, self.step(trial, rung)))
        return asked or self._remainders()

    def _remainders(self) -> list[Proposal]:
        """As many remainders as the budget allows."""
        asked: list[Proposal] = []
        while (proposal := self.remainder()) is not None:
            asked.append(proposal)
        return asked

    def _next_rung(self) -> list[tuple[int, int]]:
        """Which trials train to which rung next, in this bracket or, if it has ended, in the next one."""
        if not self.results:  # the cost of evaluation is not known yet: begin as many as any other method does
            return [(trial, 0) for trial in range(min(self.plan.population, bracket_sizes(len(self.rungs))[0][0]))]
        return self._promoted() or self._newcomers() or self._promoted()

    def _promoted(self) -> list[tuple[int, int]]:
        if not self._to_come:
            return []
        above = len(self.rungs) - len(self._to_come)
        trials = [trial for trial in self.rungs[above - 1].waiting() if trial in self._trials][: self._to_come[0]]
        self._trials = set(trials)
        self._to_come = self._to_come[1:]
        return [(trial, above) for trial in trials]

    def _newcomers(self) -> list[tuple[int, int]]:
        """Begin the next bracket. In the first one, some trials have already finished the first rung."""
        begun = set() if self._brackets else set(self.results)
        sizes = self._next_bracket(len(begun))
        trials = range(self.new_trial, self.new_trial + sum(sizes[:1]) - len(begun))
        self._trials = begun.union(trials)
        self._to_come = sizes[1:]
        return [(trial, len(self.rungs) - len(sizes)) for trial in trials]

    def _next_bracket(self, begun: int) -> list[int]:
        """The number of trials at each rung of the next bracket; empty if the rest does not pay for even the smallest one."""
        sizes = bracket_sizes(len(self.rungs))[self._brackets % len(self.rungs)]
        self._brackets += 1
        fewer = (halved(trials, len(sizes) - 1) for trials in range(sizes[0], max(begun, 1) - 1, -1))
        return next((few for few in fewer if self._price(few, begun) <= self._available), [])

    @property
    def _available(self) -> float:
        return self.account.left - self.plan.population * self.account.evaluation

    def _price(self, sizes: list[int], begun: int) -> int:
        """Units that training and evaluating a bracket costs; the first rung of `begun` trials has been paid for."""
        first = len(self.rungs) - len(sizes)
        price, begin = 0, 0
        for rung, trials in enumerate(sizes, start=first):
            to_pay = trials - begun if rung == first else trials
            end = self.rungs[rung].units
            price += to_pay * (end - begin + self.evaluation_units(rung))
            begin = end
        return price
