"""Successive halving: many trials train a little, the best third trains on three times as long, and so on.

ASHA (Li et al. 2020, arXiv 1810.05934, Algorithm 2) decides whenever a worker is free; Hyperband (Li et al. 2017, arXiv
1603.06560, Algorithm 1) halves brackets of trials, in each of which more or fewer trials begin with less or more training.

A trial is a member number; it trains from rung to rung, from its own checkpoint. The last rung ends where any other method's
member ends (R of the papers), the first after R/3^s, with s as large as leaves an interval at least.

Departures. The papers' budgets have no end; ours does, and when what is left is no more enough for what the rule wants, the most
promising of the trials that wait trains on, for what is left at most. Nor do the papers pay for judging: until its price is known
no more trials begin than the population has members. The papers return the best result of any rung; here the winner is among
the trials that reached the highest rung, since a result after little training is not of what is compared.
"""

from __future__ import annotations

from bisect import insort
from typing import final

from rl_pbt.records import Proposal, Result, UserError
from rl_pbt.search.base import Books
from rl_pbt.search.budget import Plan
from rl_pbt.search.setup import Setup

ETA = 3  # Hyperband's authors recommend 3 or 4; trainings here are few intervals long, and 3 leaves more rungs


def resources(plan: Plan) -> list[int]:
    """Frames that a trial has trained for at the end of each rung. Raises UserError where there is nothing to halve."""
    rungs = 1
    while plan.interval * ETA**rungs <= plan.frames_per_member:
        rungs += 1
    if rungs == 1:
        raise UserError(
            f"asha and hyperband need trainings that can be cut short: --interval {plan.interval} must be "
            f"a third of --frames {plan.frames_per_member} or less"
        )
    return [plan.frames_per_member // ETA**above // plan.quantum * plan.quantum for above in reversed(range(rungs))]


@final
class Rung:
    """Who was judged at the end of so many frames, and who of them still waits to go on. Failures never do."""

    def __init__(self, frames: int) -> None:
        self.frames = frames
        self.judging = 0  # frames, at most, that judging a trial here took
        self._standing: list[tuple[float, float, int]] = []  # best first
        self._waiting: set[int] = set()

    def enter(self, trial: int, result: Result, draw: float) -> None:
        """`draw` places it among its equals."""
        self.judging = max(self.judging, result.cost.eval_frames)
        insort(self._standing, (-result.rank_key, draw, trial))
        if result.failure is None:
            self._waiting.add(trial)

    def leave(self, trial: int) -> None:
        self._waiting.discard(trial)

    def waiting(self) -> list[int]:
        """Best first."""
        return [trial for _, _, trial in self._standing if trial in self._waiting]

    def best_waiting(self) -> int | None:
        return self._first_of(len(self._standing))

    def promotable(self) -> int | None:
        """The best that waits among the top third of all that ever were here."""
        return self._first_of(len(self._standing) // ETA)

    def _first_of(self, best: int) -> int | None:
        return next((trial for _, _, trial in self._standing[:best] if trial in self._waiting), None)


class Halving(Books):
    """Trials, and the rungs that they train to. A job takes a trial to the end of a rung, or is cut short by the budget."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.rungs = [Rung(frames) for frames in resources(setup.plan)]
        self.trained: dict[int, int] = {}  # frames, by trial
        self._goals: dict[int, int] = {}  # of each job underway, by id: the rung that it trains to
        self._towards = [0] * len(self.rungs)  # how many of them train to each rung
        self._frames_underway = 0

    def tell(self, result: Result) -> None:
        proposal = self.underway.get(result.id)
        super().tell(result)
        if proposal is None or not proposal.trains:
            return
        trial = proposal.member
        goal = self._goals.pop(result.id)
        self._towards[goal] -= 1
        self._frames_underway -= proposal.frames
        self.trained[trial] = self.trained.get(trial, 0) + proposal.frames
        if self.trained[trial] == self.rungs[goal].frames:
            self.rungs[goal].enter(trial, result, float(self.rng("place among equals", member=trial).random()))

    @property
    def new_trial(self) -> int:
        return len(self._begun)

    def step(self, trial: int, rung: int) -> int:
        """Frames from where the trial is to the end of the rung."""
        return self.rungs[rung].frames - self.trained.get(trial, 0)

    def room(self, trial: int, rung: int) -> int:
        """As many frames of that step as there is budget for, should all that is underway be as dear to judge as can be."""
        judging = sum(jobs * self.judging(goal) for goal, jobs in enumerate(self._towards)) + self.judging(rung)
        left = self.plan.total - self.account.spent.frames - self._frames_underway - judging
        return self.account.room(min(self.step(trial, rung), max(0, left)))

    def judging(self, rung: int) -> int:
        """Frames, at most, that judging a trial at that rung takes.

        The mean over all is too little: who has learnt for longer may play for longer. So at each rung where nobody was judged
        yet it is taken to cost three times as much as at the one below.
        """
        most = 0
        for lower in self.rungs[: rung + 1]:
            most = max(most, lower.judging) if lower.judging else most * ETA
        return most

    def fits(self, trial: int, rung: int) -> bool:
        return self.room(trial, rung) == self.step(trial, rung)

    def train(self, trial: int, rung: int, frames: int) -> Proposal:
        """Towards the end of the rung."""
        for lower in self.rungs[:rung]:
            lower.leave(trial)
        if trial in self.last:
            proposal = self.go_on(trial, frames)
        else:
            proposal = self.propose(trial, self.initial_hypers(trial), parent=None, frames=frames)
        self._goals[proposal.id] = rung
        self._towards[rung] += 1
        self._frames_underway += frames
        return proposal

    def remainder(self) -> Proposal | None:
        """The best trial that waits at the highest rung, or else a new one, trains on for what is left at most.

        None where that is less than an interval, which the play-off makes better use of; if judging is free there is none.
        """
        trial, rung = self._most_promising()
        frames = self.room(trial, rung)
        enough = frames >= self.plan.interval or not self.account.evaluation
        return self.train(trial, rung, frames) if frames and enough else None

    def _most_promising(self) -> tuple[int, int]:
        for above in range(len(self.rungs) - 1, 0, -1):
            if (trial := self.rungs[above - 1].best_waiting()) is not None:
                return trial, above
        return self.new_trial, 0

    @property
    def fitness(self) -> dict[int, float]:
        """Of the trials among which the winner is sought: those alive that reached the highest rung."""
        reached = {trial: sum(rung.frames <= self.trained[trial] for rung in self.rungs) for trial in self.alive()}
        highest = max(reached.values(), default=0)
        return {trial: self.results[trial].rank_key for trial, rungs in reached.items() if rungs == highest}


@final
class ASHA(Halving):
    """As many trials train at a time as the population has members, and nobody waits for anybody."""

    def work(self) -> list[Proposal]:
        asked: list[Proposal] = []
        while len(self.underway) < self.plan.population and (proposal := self._job()) is not None:
            asked.append(proposal)
        return asked

    def _job(self) -> Proposal | None:
        trial, rung = self.choose()
        return self.train(trial, rung, self.step(trial, rung)) if self.fits(trial, rung) else self.remainder()

    def choose(self) -> tuple[int, int]:
        """A trial and the rung that it shall train to (Li 2020, Algorithm 2, get_job)."""
        for above in range(len(self.rungs) - 1, 0, -1):
            if (trial := self.rungs[above - 1].promotable()) is not None:
                return trial, above
        return self.new_trial, 0


def bracket_sizes(rungs: int) -> list[list[int]]:
    """Trials at each rung of each bracket of Hyperband, for so many rungs (Li 2017, Algorithm 1); s falls from rungs - 1."""
    return [halved(-(-rungs * ETA**s // (s + 1)), s) for s in reversed(range(rungs))]


def halved(trials: int, times: int) -> list[int]:
    """How many of the trials reach each rung; of few, one always does."""
    return [max(1, trials // ETA**i) for i in range(times + 1)]


@final
class Hyperband(Halving):
    """Bracket after bracket, from the one with the most trials to the one without halving, and round again.

    A bracket begins with fewer trials where its whole size would overrun the budget.
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._brackets = 0  # begun so far
        self._trials: set[int] = set()  # of the bracket, those that are not eliminated
        self._to_come: list[int] = []  # trials at each of its rungs that have not begun

    def work(self) -> list[Proposal]:
        if self.underway:
            return []
        asked: list[Proposal] = []
        for trial, rung in self._next_rung():
            if not self.fits(trial, rung):
                break
            asked.append(self.train(trial, rung, self.step(trial, rung)))
        return asked or list(iter(self.remainder, None))

    def _next_rung(self) -> list[tuple[int, int]]:
        """Who trains to which rung: of this bracket or, where that has ended, of the next."""
        if not self.results:  # what judging costs is not known yet: as many as any other method dares
            return [(trial, 0) for trial in range(min(self.plan.population, bracket_sizes(len(self.rungs))[0][0]))]
        return self._survivors() or self._newcomers() or self._survivors()

    def _survivors(self) -> list[tuple[int, int]]:
        if not self._to_come:
            return []
        above = len(self.rungs) - len(self._to_come)
        trials = [trial for trial in self.rungs[above - 1].waiting() if trial in self._trials][: self._to_come[0]]
        self._trials = set(trials)
        self._to_come = self._to_come[1:]
        return [(trial, above) for trial in trials]

    def _newcomers(self) -> list[tuple[int, int]]:
        """The next bracket begins. Of the first one some trials have ended its first rung."""
        begun = set() if self._brackets else set(self.results)
        sizes = self._next_bracket(len(begun))
        trials = range(self.new_trial, self.new_trial + sum(sizes[:1]) - len(begun))
        self._trials = begun.union(trials)
        self._to_come = sizes[1:]
        return [(trial, len(self.rungs) - len(sizes)) for trial in trials]

    def _next_bracket(self, begun: int) -> list[int]:
        """Trials at each of its rungs; empty where what is left does not pay for the least of brackets."""
        sizes = bracket_sizes(len(self.rungs))[self._brackets % len(self.rungs)]
        self._brackets += 1
        fewer = (halved(trials, len(sizes) - 1) for trials in range(sizes[0], max(begun, 1) - 1, -1))
        return next((few for few in fewer if self._price(few, begun) <= self._available), [])

    @property
    def _available(self) -> float:
        return self.account.left - self.plan.population * self.account.evaluation

    def _price(self, sizes: list[int], begun: int) -> int:
        """Frames of training and judging of a bracket, the first rung of `begun` trials being paid."""
        first = len(self.rungs) - len(sizes)
        ends = [rung.frames for rung in self.rungs[first:]]
        to_pay = [sizes[0] - begun, *sizes[1:]]
        return sum(
            trials * (end - begin + self.judging(rung))
            for trials, begin, end, rung in zip(to_pay, [0, *ends], ends, range(first, len(self.rungs)), strict=False)
        )
