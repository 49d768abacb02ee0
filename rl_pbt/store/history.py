"""What the ledger says of one method and seed: its trials, their descent, and the curves that follow from them."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce
from itertools import accumulate, pairwise
from typing import final

from rl_pbt.errors import UserError
from rl_pbt.records import Cost, FinalTest, Proposal, Result, Trial, pooled
from rl_pbt.store.events import Chosen, Ended, Event, Extended, FinalTested, Finished, IncumbentTested, Proposed
from rl_pbt.store.lineage import Lineage
from rl_pbt.store.run import RunFolder


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A proposal without a result, asked for when so many trainings had one."""

    proposal: Proposal
    asked_after: int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Incumbent:
    """The test of the member that led when the population had spent so many `units`."""

    units: int
    test: FinalTest


@final
@dataclass(frozen=True, kw_only=True)
class History:
    """What a ledger says of one method and seed. `chosen` is None before the end, or where every member failed.
    Of a search whose budget was extended, it is that of the last budget.

    `trials` trained, in the order of their results; `judged_again` are the final re-evaluations of the best of them.
    """

    trials: tuple[Trial, ...] = ()
    judged_again: tuple[Trial, ...] = ()
    pending: tuple[Pending, ...] = ()
    chosen: int | None = None
    incumbents: tuple[Incumbent, ...] = ()
    test: FinalTest | None = None
    ended: bool = False

    @cached_property
    def cost(self) -> Cost:
        """Training and evaluation; testing is not charged, as nothing is learned from it."""
        return sum((trial.result.cost for trial in self.trials + self.judged_again), Cost())

    @cached_property
    def by_id(self) -> dict[int, Trial]:
        """The trials by the ids of their proposals."""
        return {trial.proposal.id: trial for trial in self.trials}

    @cached_property
    def lineage(self) -> Lineage:
        """Who descends from whom, among the trials."""
        lineage = Lineage()
        for trial in self.trials:
            lineage.add(trial.proposal)
        return lineage

    @property
    def by_training(self) -> bool:
        """Whether its curves are made of training episodes: it was judged at their ends alone."""
        return any(trial.result.unjudged and trial.result.score is not None for trial in self.trials)

    @property
    def rounds(self) -> list[tuple[Trial, ...]]:
        """Trials cut wherever the method asked for more: generations, where it waited for all. One underway is left out."""
        cuts = sorted({trial.asked_after for trial in self.trials} | {0, len(self.trials)})
        rounds = [self.trials[start:end] for start, end in pairwise(cuts)]
        underway = any(one.proposal.trains and one.asked_after <= cuts[-2] for one in self.pending) if rounds else False
        return rounds[:-1] if underway else rounds


def judged(history: History, proposal: int) -> Result:
    """The result that the winner was chosen by: with the episodes of the final re-evaluation."""
    again = [trial.result for trial in history.judged_again if trial.proposal.parent == proposal]
    return reduce(pooled, again, history.by_id[proposal].result)


def line_of_descent(history: History, proposal: int) -> list[int]:
    """Proposal ids from the founder to `proposal`, across every copy on the way. Raises KeyError for an unknown id."""
    return [ancestor.id for ancestor in history.lineage.line(proposal)]


def winning_line(history: History) -> list[Trial]:
    """The trials on the winner's line of descent, founder first; none where there is no winner."""
    return [] if history.chosen is None else [history.by_id[ancestor] for ancestor in line_of_descent(history, history.chosen)]


def lifetime(history: History, trial: Trial) -> tuple[int, int]:
    """Lineage units at the start and at the end of a trial that did not fail."""
    parent = trial.proposal.parent
    return (0 if parent is None else history.by_id[parent].result.lineage_units), trial.result.lineage_units


def copies(history: History) -> set[int]:
    """Ids of the trials whose weights or hyperparameters are of another member."""
    donor = history.lineage.donor
    return {trial.proposal.id for trial in history.trials if donor(trial.proposal) is not None}


def has_schedules(history: History) -> bool:
    """Whether anybody's hyperparameters changed while it trained; without that there is nothing to draw over time."""
    by_id = history.by_id
    return any(
        t.proposal.parent is not None and by_id[t.proposal.parent].proposal.hypers != t.proposal.hypers for t in history.trials
    )


def survivors(history: History) -> list[int]:
    """Ids of the newest proposals of the members that trained for as long as any did, failures left out; and the winner's.

    To a tenth: the trainings of a method that does one after another differ a little.
    """
    newest = {trial.proposal.member: trial for trial in history.trials}
    trained: Counter[int] = Counter()
    for trial in history.trials:
        trained[trial.proposal.member] += trial.proposal.units
    healthy = {member: trial for member, trial in newest.items() if trial.result.failure is None}
    longest = max((trained[member] for member in healthy), default=0)
    found = [trial.proposal.id for member, trial in healthy.items() if trained[member] >= 0.9 * longest]
    return found if history.chosen is None or history.chosen in found else [*found, history.chosen]


def surviving(history: History) -> set[int]:
    """Ids of all proposals that have a survivor among their descendants, or are one."""
    found = set(survivors(history))
    for trial in reversed(history.trials):  # parents come before their children in a ledger
        if trial.proposal.id in found and trial.proposal.parent is not None:
            found.add(trial.proposal.parent)
    return found


def founders(history: History) -> int:
    """How many proposals without a parent have a survivor among their descendants, or are one."""
    return len({history.lineage.founder(survivor) for survivor in survivors(history)})


def units_spent(history: History) -> list[int]:
    """Units that the whole population had spent, evaluation included, at the end of each round."""
    return list(accumulate(sum(trial.result.cost.units for trial in trials) for trials in history.rounds))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The scores (`Result.score`) of the members as they stand when `units` have been spent: the best, and the quartiles."""

    units: int
    best: float
    upper: float
    median: float
    lower: float


def standings(history: History) -> list[Standing]:
    """How the population stands after each round; none where all have failed."""
    standing: dict[int, float] = {}  # member -> its newest score
    fitness: list[float] = []  # the same, in order
    told = []
    for units, trials in zip(units_spent(history), history.rounds, strict=True):
        for trial in trials:
            if (before := standing.pop(trial.proposal.member, None)) is not None:
                del fitness[bisect_left(fitness, before)]
            if (score := trial.result.score) is not None:
                standing[trial.proposal.member] = score
                insort(fitness, score)
        if fitness:
            lower, median, upper = (_quantile(fitness, share) for share in (0.25, 0.5, 0.75))
            told.append(Standing(units=units, best=fitness[-1], upper=upper, median=median, lower=lower))
    return told


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Between two values in proportion, as numpy does: this is called for each round, and does not sort again."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def best_fitness_curve(history: History) -> list[tuple[int, float]]:
    """(units spent, best score of the members as they stand) after each round; none where all have failed."""
    return [(stand.units, stand.best) for stand in standings(history)]


def anytime_curve(history: History) -> list[tuple[int, float]]:
    """(units spent, mean test score of the member that led then), the winner's after all that was spent."""
    points = [(one.units, one.test.returns) for one in history.incumbents]
    points += [] if history.test is None else [(history.cost.units, history.test.returns)]
    return [(units, math.fsum(returns) / len(returns)) for units, returns in points if returns]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Parallelism:
    """What a method could have run at once, and what had to wait: its final re-evaluation is left out.

    `sequential_depth` is the longest chain of proposals of which each was asked for after the result of the one before was
    known, `sequential_units` the units along the costliest such chain: the least that any number of machines would have to
    wait for. `peak` is how many proposals were underway at once. `discarded_units` were trained for on weights that no survivor
    descends from.
    """

    sequential_depth: int
    sequential_units: int
    peak: int
    discarded_units: int


def parallelism(history: History) -> Parallelism:
    """The critical path of a history, and the most that was underway at once."""
    depths, units = [0], [0]  # the most of any of the first n results
    for trial in history.trials:
        depths.append(max(depths[-1], depths[trial.asked_after] + 1))
        units.append(max(units[-1], units[trial.asked_after] + trial.result.cost.units))
    kept = surviving(history)
    asked = Counter(trial.asked_after for trial in history.trials)
    begun = list(accumulate(asked[known] for known in range(len(history.trials) + 1)))
    return Parallelism(
        sequential_depth=depths[-1],
        sequential_units=units[-1],
        peak=max(count - known for known, count in enumerate(begun)),
        discarded_units=sum(t.result.cost.train_units for t in history.trials if t.proposal.id not in kept),
    )


def ancestor_curve(history: History, proposal: int) -> list[tuple[int, float]]:
    """(lineage units, score) along the line of descent: one agent's own life, stitched through its donors."""
    results = [history.by_id[ancestor].result for ancestor in line_of_descent(history, proposal)]
    return [(result.lineage_units, score) for result in results if (score := result.score) is not None]


def read_history(run: RunFolder, method: str, seed: int) -> History:
    """What the ledger holds so far; empty where the method has not begun. Raises UserError, naming file and line, also
    where it is the ledger of another run than the manifest.
    """
    ledger = run.recorded(method, seed)
    reader = Reader()
    for line, event in ledger.numbered():
        try:
            reader.take(event)
        except (KeyError, ValueError) as error:
            raise UserError(f"{ledger.path}, line {line} is damaged ({error}): restore the file from a copy") from None
    return reader.history()


@final
@dataclass(slots=True)
class Reader:
    """What the events so far amount to: each of them is one that a search could have written there."""

    proposed: dict[int, tuple[Proposal, int]] = field(default_factory=dict)  # with how many trainings were known
    trials: dict[int, Trial] = field(default_factory=dict)
    trained: int = 0  # of the trials
    chosen: int | None = None
    incumbents: list[Incumbent] = field(default_factory=list)
    test: FinalTest | None = None
    ended: bool = False

    def take(self, event: Event) -> None:
        """Raises ValueError for an event that cannot follow those before."""
        if self.ended != isinstance(event, Extended):
            raise ValueError("what has ended goes on" if self.ended else "what has not ended is extended")
        match event:
            case Proposed(proposal=proposal):
                self._check_sources(proposal)
                self.proposed[proposal.id] = (proposal, self.trained)
            case Finished(result=result):
                self._take_result(result)
            case Chosen(proposal=chosen):
                self._check_chosen(chosen)
                self.chosen = chosen
            case IncumbentTested(test=test, units=units):
                self._check_incumbent(test, units)
                self.incumbents.append(Incumbent(units=units, test=test))
            case FinalTested(test=test):
                self._check_tested(test)
                self.test = test
            case Ended():
                self.ended = True
            case Extended():
                self.chosen, self.test, self.ended = None, None, False

    def _take_result(self, result: Result) -> None:
        if result.proposal not in self.proposed or result.proposal in self.trials:
            raise ValueError(f"a result of proposal {result.proposal} is not due")
        proposal, asked_after = self.proposed[result.proposal]
        if result.unjudged and proposal.judges:
            raise ValueError(f"the result of proposal {result.proposal} has neither a fitness nor a failure")
        self.trials[result.proposal] = Trial(proposal=proposal, result=result, asked_after=asked_after)
        self.trained += proposal.trains

    def _has_trained(self, proposal: int) -> bool:
        """Whether it has the result of a training."""
        return proposal in self.trials and self.trials[proposal].proposal.trains

    def _check_sources(self, proposal: Proposal) -> None:
        """It is new, and descends from what was there before it, so that nothing is its own ancestor."""
        if proposal.id in self.proposed:
            raise ValueError(f"proposal {proposal.id} stands twice")
        for name, source in (("parent", proposal.parent), ("donor", proposal.hypers_from)):
            if source is not None and not self._has_trained(source):
                raise ValueError(f"{name} {source} of proposal {proposal.id} has no result")
        if self.proposed and proposal.hypers.keys() != next(iter(self.proposed.values()))[0].hypers.keys():
            raise ValueError(f"proposal {proposal.id} has other hyperparameters than those before it")

    def _check_chosen(self, chosen: int | None) -> None:
        if self.chosen is not None:
            raise ValueError("a winner was chosen before")
        if chosen is not None and not (self._has_trained(chosen) and self.trials[chosen].result.failure is None):
            raise ValueError(f"the chosen proposal {chosen} has no fitness")

    def _check_incumbent(self, test: FinalTest, units: int) -> None:
        due = self.chosen is not None and self.test is None and test.proposal is not None and self._has_trained(test.proposal)
        if not due or units <= max((incumbent.units for incumbent in self.incumbents), default=0):
            raise ValueError(f"a test of proposal {test.proposal}, that led after {units} units, is not due")

    def _check_tested(self, test: FinalTest) -> None:
        if self.test is not None or test.proposal is None or test.proposal != self.chosen:
            raise ValueError(f"a test of proposal {test.proposal} is not due")

    def history(self) -> History:
        """Of the events so far."""
        done = self.trials.values()
        return History(
            trials=tuple(trial for trial in done if trial.proposal.trains),
            judged_again=tuple(trial for trial in done if not trial.proposal.trains),
            pending=tuple(
                Pending(proposal=proposal, asked_after=known)
                for proposal, known in self.proposed.values()
                if proposal.id not in self.trials
            ),
            chosen=self.chosen,
            incumbents=tuple(self.incumbents),
            test=self.test,
            ended=self.ended,
        )
