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
        self._standing: list[tuple[float, float, int]] = []  # best first
        self._waiting: set[int] = set()

    def enter(self, trial: int, result: Result, draw: float) -> None:
        """`draw` places it among its equals."""
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

    def tell(self, result: Result) -> None:
        proposal = self.underway.get(result.id)
        super().tell(result)
        if proposal is None or not proposal.trains:
            return
        trial = proposal.member
        age = self.trained[trial] = self.trained.get(trial, 0) + proposal.frames
        for rung in self.rungs:
            if rung.frames == age:
                rung.enter(trial, result, float(self.rng("place among equals", member=trial).random()))

    @property
    def new_trial(self) -> int:
        return len(self._begun)

    def step(self, trial: int, rung: int) -> int:
        """Frames from where the trial is to the end of the rung."""
        return self.rungs[rung].frames - self.trained.get(trial, 0)

    def fits(self, trial: int, rung: int) -> bool:
        step = self.step(trial, rung)
        return self.account.room(step) == step

    def train(self, trial: int, frames: int) -> Proposal:
        for rung in self.rungs:
            rung.leave(trial)
        if trial in self.last:
            return self.go_on(trial, frames)
        return self.propose(trial, self.initial_hypers(trial), parent=None, frames=frames)

    def remainder(self) -> Proposal | None:
        """The best trial that waits at the highest rung, or else a new one, trains on for what is left at most.

        None where that is less than an interval, which the play-off makes better use of; if judging is free there is none.
        """
        trial, rung = self._most_promising()
        frames = self.account.room(self.step(trial, rung))
        enough = frames >= self.plan.interval or not self.account.evaluation
        return self.train(trial, frames) if frames and enough else None

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
        return self.train(trial, self.step(trial, rung)) if self.fits(trial, rung) else self.remainder()

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
            asked.append(self.train(trial, self.step(trial, rung)))
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

    def _price(self, sizes: list[int], begun: int) -> float:
        """Frames of training and evaluation of a bracket, the first rung of `begun` trials being paid."""
        ends = [rung.frames for rung in self.rungs[-len(sizes) :]]
        steps = [end - begin for begin, end in zip([0, *ends], ends, strict=False)]
        to_pay = [sizes[0] - begun, *sizes[1:]]
        return sum(trials * (step + self.account.evaluation) for trials, step in zip(to_pay, steps, strict=True))
