"""The curves of a search, independent of where they are drawn: TensorBoard's files or a service.

The population is drawn against all units that it has spent, evaluation included, so that methods can be compared at equal
compute; `charts/` has the curves for that. The winner's line of descent is drawn against its own training age (`winner/`).
Members are drawn separately, against the units that their slot has trained for: these never decrease, as the training age of a
member would that copies a younger donor. For members that were not evaluated, the mean return of their training episodes takes
the place of fitness, and a note says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import Protocol, final

from rl_pbt.records import FinalTest, Hypers, Proposal, Result
from rl_pbt.space import Space, spread
from rl_pbt.store.lineage import Lineage
from rl_pbt.tasks.words import Words
from rl_pbt.text import TRAINING_EPISODES, value_text

BEST, MEDIAN = "charts/best_fitness", "charts/median_fitness"
MOST_TOLD = 64  # copies noted at one moment, each a text
WINNERS_FITNESS = "winner/fitness"
OF_POPULATION = ("charts", "diversity", "population")  # groups of a population's tags, besides those of its winner


class Sink(Protocol):
    """Where the curves of one method and seed are drawn."""

    def population(self, values: Mapping[str, float], units: int) -> None:
        """Points of the whole population, by tag, when it had spent `units`."""
        ...

    def winner(self, values: Mapping[str, float], units: int) -> None:
        """Points of the winner's line of descent, by tag, when it had trained for `units`."""
        ...

    def member(self, member: int, values: Mapping[str, float], units: int) -> None:
        """Points of one member, by tag, when its slot had trained for `units`."""
        ...

    def note(self, tag: str, text: str, units: int, *, member: int | None = None) -> None:
        """A text about the population or, with `member`, about one member."""
        ...

    def outcome(self, hypers: Hypers, scores: Mapping[str, float]) -> None:
        """The winner's first and last hyperparameters, and its scores under the tags of the curves whose last points they are."""
        ...

    def close(self) -> None:
        """Nothing more will come."""
        ...


def test_tag(words: Words) -> str:
    """The tag of the curve of held-out tests."""
    return f"charts/test_{_in_tag(words.score)}"


def range_tags(name: str) -> tuple[str, str, str]:
    """The tags of one hyperparameter's curves in the population: smallest, median and largest value."""
    low, middle, high = (f"population/{name}_{which}" for which in ("min", "median", "max"))
    return low, middle, high


def ranged(space: Space) -> list[str]:
    """The hyperparameters that have such curves: those with a numeric range."""
    return [name for name, dimension in space.dimensions.items() if dimension.bounds]


@final
class Curves:
    """An observer of one method and seed. Close it when the search is over.

    Tags of the training's own metrics stay as they are. If the unit is a frame, the speed is called `time/fps`, as in
    Stable-Baselines3.
    """

    def __init__(self, space: Space, *, words: Words, sinks: Sequence[Sink]) -> None:
        self._space = space
        self._speed_tag = "time/fps" if words.short_unit == "frame" else f"time/{_in_tag(words.short_units)}_per_s"
        self._test_tag = test_tag(words)
        self._sinks = sinks
        self._lineage = Lineage()  # of the finished proposals
        self._results: dict[int, Result] = {}
        self._standing: dict[int, Proposal] = {}  # each member's newest finished proposal
        self._units: dict[int, int] = {}  # by member: units that its slot has trained for
        self._spent = 0  # units, by the whole population
        self._unseen = 0  # results since the population was last drawn
        self._noted = False  # whether the note about missing evaluations was written

    def proposed(self, proposals: Sequence[Proposal]) -> None:
        """Draw the population as it stands, and note who copies whom."""
        self._population()
        copying = [(proposal, donor) for proposal in proposals if (donor := self._lineage.donor(proposal)) is not None]
        for proposal, donor in copying[:MOST_TOLD]:
            for sink in self._sinks:
                sink.note("exploit", self._copy_told(proposal, donor), self._spent)
        if len(copying) > MOST_TOLD:
            for sink in self._sinks:
                sink.note("exploit", f"and {len(copying) - MOST_TOLD} more", self._spent)

    def _copy_told(self, proposal: Proposal, donor: Proposal) -> str:
        before = donor if proposal.hypers_from is not None else self._standing[proposal.member]
        moved = [
            f"{name} {value_text(before.hypers[name])} -> {value_text(value)}" for name, value in sorted(proposal.hypers.items())
        ]
        return f"member {proposal.member} copies member {donor.member}: {', '.join(moved)}"

    def finished(self, proposal: Proposal, result: Result, *, replayed: bool) -> None:
        """Draw a point on each of the member's curves; final re-evaluations have none."""
        self._spent += result.cost.units
        if not proposal.trains:
            return
        self._lineage.add(proposal)
        self._results[proposal.id] = result
        self._standing[proposal.member] = proposal
        self._unseen += 1
        units = self._units[proposal.member] = self._units.get(proposal.member, 0) + proposal.units
        values = {**result.metrics, **_hyper_values("hypers", proposal.hypers), **_fitness_value("fitness", result)}
        if result.cost.wall_s > 0:
            values[self._speed_tag] = result.cost.units / result.cost.wall_s
        for sink in self._sinks:
            sink.member(proposal.member, values, units)
            if result.failure is not None:
                sink.note("failure", result.failure, units, member=proposal.member)

    def _population(self) -> None:
        """Draw the members as they stand, if there are new results; called whenever the method asks for more."""
        if not self._unseen:
            return
        self._unseen = 0
        standing = [proposal for _, proposal in sorted(self._standing.items())]
        values: dict[str, float] = {}
        results = [self._results[proposal.id] for proposal in standing]
        if fitness := [score for result in results if (score := result.score) is not None]:
            self._note_what_it_is(results)
            values |= {BEST: max(fitness), MEDIAN: median(fitness), "diversity/fitness": max(fitness) - min(fitness)}
        for name, dimension in self._space.dimensions.items():
            values[f"diversity/{name}"] = spread(dimension, [proposal.hypers[name] for proposal in standing])
        for name in ranged(self._space):
            held = [float(proposal.hypers[name]) for proposal in standing]
            values |= zip(range_tags(name), (min(held), median(held), max(held)), strict=True)
        values["diversity/surviving_founders"] = len({self._lineage.founder(proposal.id) for proposal in standing})
        for sink in self._sinks:
            sink.population(values, self._spent)

    def _note_what_it_is(self, results: Sequence[Result]) -> None:
        """Note once that what is drawn as fitness is the return of training episodes, if it is."""
        if not self._noted and any(result.unevaluated for result in results):
            self._noted = True
            for sink in self._sinks:
                sink.note("fitness", f"of {TRAINING_EPISODES}: members are evaluated only at the end", self._spent)

    def incumbent_tested(self, test: FinalTest, units: int) -> None:
        """Draw a point of the anytime curve, whose last point is the winner's test."""
        if test.returns:
            for sink in self._sinks:
                sink.population({self._test_tag: fmean(test.returns)}, units)

    def tested(self, test: FinalTest) -> None:
        """Draw the winner's line of descent, with its first and last hyperparameters."""
        assert test.proposal is not None, "a winner is tested here, and no baseline"
        self._population()
        line = self._lineage.line(test.proposal)
        results = [self._results[proposal.id] for proposal in line]
        ends = {"first": line[0], "last": line[-1]}
        hypers = {f"hypers/{name}/{end}": value for end, proposal in ends.items() for name, value in proposal.hypers.items()}
        scores = {self._test_tag: fmean(test.returns)} if test.returns else {}
        for sink in self._sinks:
            for proposal, result in zip(line, results, strict=True):
                values = {**_hyper_values("winner", proposal.hypers), **_fitness_value(WINNERS_FITNESS, result)}
                sink.winner(values, result.lineage_units)
            if scores:
                sink.population(scores, self._spent)
            sink.outcome(hypers, {**scores, **_fitness_value(WINNERS_FITNESS, results[-1])})

    def close(self) -> None:
        """Draw what has not been drawn yet."""
        self._population()
        for sink in self._sinks:
            sink.close()


def _in_tag(noun: str) -> str:
    """The noun with the characters that TensorBoard allows in a tag."""
    return re.sub(r"[^\w.-]+", "_", noun)


def _hyper_values(group: str, hypers: Hypers) -> dict[str, float]:
    """The numeric hyperparameters, by tag."""
    return {f"{group}/{name}": value for name, value in hypers.items() if not isinstance(value, str)}


def _fitness_value(tag: str, result: Result) -> dict[str, float]:
    return {} if (score := result.score) is None else {tag: score}
