"""What the ledger of one method and seed says: its trials, and their outcomes."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, reduce
from itertools import pairwise
from typing import final

from rl_pbt.errors import UserError
from rl_pbt.records import Cost, FinalTest, Proposal, Result, Trial, pooled
from rl_pbt.store.events import Chosen, Ended, Event, Extended, FinalTested, Finished, IncumbentTested, Proposed
from rl_pbt.store.lineage import Lineage
from rl_pbt.store.run import RunFolder


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A proposal without a result yet, asked for when `asked_after` trainings had one."""

    proposal: Proposal
    asked_after: int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Incumbent:
    """The test of the member that led when the population had spent `units`."""

    units: int
    test: FinalTest


@final
@dataclass(frozen=True, kw_only=True)
class History:
    """What a ledger says of one method and seed.

    `trials` are those that trained, in the order of their results; `reevaluations` are the final re-evaluations of the best of
    them. `chosen` is the winner's proposal, after an extension that of the last budget; None before the end, or if every member
    failed.
    """

    trials: tuple[Trial, ...] = ()
    reevaluations: tuple[Trial, ...] = ()
    pending: tuple[Pending, ...] = ()
    chosen: int | None = None
    incumbents: tuple[Incumbent, ...] = ()
    test: FinalTest | None = None
    ended: bool = False

    @cached_property
    def cost(self) -> Cost:
        """The cost of training and evaluation; testing is not charged, as nothing is learned from it."""
        return sum((trial.result.cost for trial in self.trials + self.reevaluations), Cost())

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
        """Whether its curves show returns of training episodes, because members were evaluated only at the end."""
        return any(trial.result.unevaluated and trial.result.score is not None for trial in self.trials)

    @property
    def rounds(self) -> list[tuple[Trial, ...]]:
        """The trials, split wherever the method asked for more: generations, if it waits for all members.

        A round that is still underway is left out.
        """
        cuts = sorted({trial.asked_after for trial in self.trials} | {0, len(self.trials)})
        rounds = [self.trials[start:end] for start, end in pairwise(cuts)]
        underway = any(one.proposal.trains and one.asked_after <= cuts[-2] for one in self.pending) if rounds else False
        return rounds[:-1] if underway else rounds


def with_reevaluations(history: History, proposal: int) -> Result:
    """The result by which the winner was chosen: with the episodes of the final re-evaluation."""
    again = [trial.result for trial in history.reevaluations if trial.proposal.parent == proposal]
    return reduce(pooled, again, history.by_id[proposal].result)


def read_history(run: RunFolder, method: str, seed: int) -> History:
    """What the ledger holds so far; empty if the method has not begun.

    Raises UserError, naming file and line, for damage, and if the ledger belongs to another run than the manifest.
    """
    ledger = run.ledger(method, seed)
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
    """Builds a history from events, and checks that a search could have written each of them at its place."""

    proposed: dict[int, tuple[Proposal, int]] = field(default_factory=dict)  # with the number of trainings that had a result then
    trials: dict[int, Trial] = field(default_factory=dict)
    trained: int = 0  # number of trials that trained
    chosen: int | None = None
    incumbents: list[Incumbent] = field(default_factory=list)
    test: FinalTest | None = None
    ended: bool = False

    def take(self, event: Event) -> None:
        """Add an event. Raises ValueError if it cannot follow those before it."""
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
        if result.unevaluated and proposal.evaluates:
            raise ValueError(f"the result of proposal {result.proposal} has neither a fitness nor a failure")
        self.trials[result.proposal] = Trial(proposal=proposal, result=result, asked_after=asked_after)
        self.trained += proposal.trains

    def _has_trained(self, proposal: int) -> bool:
        """Whether the proposal trained, and has its result."""
        return proposal in self.trials and self.trials[proposal].proposal.trains

    def _check_sources(self, proposal: Proposal) -> None:
        """Raises ValueError unless the proposal is new and its sources came before it, so that nothing is its own ancestor."""
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
        """The history of the events so far."""
        done = self.trials.values()
        return History(
            trials=tuple(trial for trial in done if trial.proposal.trains),
            reevaluations=tuple(trial for trial in done if not trial.proposal.trains),
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
