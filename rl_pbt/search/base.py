"""What the controller asks of a search method, and the bookkeeping that all methods share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, final

import numpy as np

from rl_pbt import seeds
from rl_pbt.records import Hypers, Proposal, Result, pooled
from rl_pbt.search.budget import Account, Plan, affordable
from rl_pbt.search.exploit import ranking
from rl_pbt.search.problem import Problem


class Method(Protocol):
    """A checked conversation: `ask` for work, and `tell` the result of each proposal, by id, exactly once."""

    @abstractmethod
    def ask(self) -> list[Proposal]:
        """New proposals, which can all be worked on now.

        An empty list means "nothing yet" while other work is underway, and "the budget is spent" if nothing is.
        """
        ...

    @abstractmethod
    def tell(self, result: Result) -> None:
        """Take the result of a proposal. Raises KeyError, with the id, if it is unknown or was told already."""
        ...

    @abstractmethod
    def needed(self) -> set[int]:
        """Ids of the finished proposals whose checkpoints may still become a parent or the winner."""
        ...

    @abstractmethod
    def extend(self, plan: Plan) -> None:
        """Continue after the end with a larger budget, which includes everything spent so far.

        Called only if the registry says that the method `extends`: others have made choices for the whole budget they knew.
        """
        ...

    @abstractmethod
    def winner(self) -> int | None:
        """Id of the finished proposal to test: the highest fitness among the members as they are now. None if all failed."""
        ...


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a proposal starts from: the checkpoint of proposal `parent`, or fresh weights without one, and `hypers`.

    `hypers_from` is the proposal that they were copied from, explored since or not, if that is another member's.
    """

    hypers: Hypers
    parent: int | None = None
    hypers_from: int | None = None


class Bookkeeping(Method, ABC):
    """Tracks members, work underway and spending; at the end, the rest of the budget re-evaluates the best members.

    A method implements `work` to say what it wants done. A member's generation counts its proposals.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.space = problem.space
        self.plan = problem.plan
        self.account = Account(problem.plan)
        self.last: dict[int, Proposal] = {}  # each member's newest finished proposal
        self.results: dict[int, Result] = {}  # by member, of that proposal
        self.underway: dict[int, Proposal] = {}  # by id
        self._begun: dict[int, int] = {}  # by member: the generation of its newest proposal
        self._evaluated: dict[int, tuple[int, int]] = {}  # by member: units and episodes of its last training's evaluation
        self._next_id = 0
        self._reevaluations = 0  # rounds so far
        self._reevaluations_before = 0  # rounds of earlier budgets
        self._not_again: set[int] = set()  # members whose re-evaluation failed
        self._untrained_generations = 0  # number of generations in which nobody trained

    @abstractmethod
    def work(self) -> list[Proposal]:
        """What the method asks for next: which members train, from which checkpoints, with which hyperparameters.

        Empty if it must wait for work underway and, with none underway, at the end.
        """

    def ask(self) -> list[Proposal]:
        proposals = [] if self._reevaluations else self.work()
        return proposals if proposals or self.underway else self._reevaluate()

    def tell(self, result: Result) -> None:
        if result.proposal not in self.underway:
            raise KeyError(f"proposal {result.proposal} is unknown or was told already")
        proposal = self.underway.pop(result.proposal)
        self.account.charge(proposal, result)
        if proposal.trains:
            self.last[proposal.member] = proposal
            self.results[proposal.member] = result
            self._evaluated[proposal.member] = (result.cost.eval_units, len(result.returns))
        else:
            before = self.results[proposal.member]
            self.results[proposal.member] = pooled(before, result)
            if before.unevaluated:
                self._evaluated[proposal.member] = (result.cost.eval_units, len(result.returns))
            if result.failure is not None:
                self._not_again.add(proposal.member)

    def propose(self, member: int, start: Start, *, units: int, episodes: int | None = None) -> Proposal:
        """Make the member's next proposal, and mark it as underway: `units` units of training or, with 0, an evaluation.

        With `units` 0, `episodes` is the number of further evaluation episodes (None: as many as usual). With `units` above 0,
        `episodes` 0 means that its fitness is not needed.
        """
        proposal = Proposal(
            id=self._next_id,
            member=member,
            generation=self.next_generation(member),
            hypers=start.hypers,
            parent=start.parent,
            units=units,
            hypers_from=start.hypers_from,
            episodes=episodes,
        )
        self._next_id += 1
        self._begun[member] = proposal.generation
        self.underway[proposal.id] = proposal
        self.account.commit(proposal)
        return proposal

    def begin(self, member: int, units: int) -> Proposal:
        """The member's first proposal: fresh weights and initial hyperparameters."""
        return self.propose(member, Start(hypers=self.initial_hypers(member)), units=units)

    def resume(self, member: int, units: int) -> Proposal:
        """The member trains on with its own weights and hyperparameters."""
        return self.propose(member, self.as_it_is(member), units=units)

    def as_it_is(self, member: int) -> Start:
        """The member's own newest checkpoint and hyperparameters."""
        return Start(parent=self.last[member].id, hypers=self.last[member].hypers)

    def next_generation(self, member: int) -> int:
        """The generation of the member's next proposal, counted from 0."""
        return self._begun.get(member, -1) + 1

    def intervals_trained(self, member: int) -> int:
        """How many generations of the plan the member has trained for, not counting those that only re-evaluated."""
        return self.next_generation(member) - self._untrained_generations

    def extend(self, plan: Plan) -> None:
        self.plan = self.account.plan = plan
        self.problem = replace(self.problem, plan=plan)
        newest = max(self._begun.values(), default=-1)
        self._untrained_generations += newest - max((proposal.generation for proposal in self.last.values()), default=-1)
        self._begun = dict.fromkeys(self._begun, newest)  # members of one generation are evaluated on the same seeds
        self._not_again = set()
        self._reevaluations_before += self._reevaluations
        self._reevaluations = 0

    def initial_hypers(self, member: int) -> Hypers:
        """The member's draw from the prior: the same for every method with this root seed, so that comparisons are paired."""
        return self.space.sample(self.rng("initial hypers", member=member))

    def rng(self, purpose: str, *, member: int | None = None, generation: int | None = None) -> np.random.Generator:
        """The problem's random stream of that name."""
        return seeds.rng(self.problem.root_seed, purpose=purpose, member=member, generation=generation)

    @property
    @final
    def fitness(self) -> dict[int, float]:
        """By member: fitness of its newest result; failures rank below everything. Raises ValueError if one was not evaluated."""
        return {member: result.rank_key for member, result in self.results.items()}

    def contenders(self) -> list[int]:
        """The members to choose the winner from, and to evaluate again: all, unless a method's members differ in age."""
        return list(self.results)

    def healthy(self) -> list[int]:
        """Members whose newest result is not a failure."""
        return [member for member, result in sorted(self.results.items()) if result.failure is None]

    def needed(self) -> set[int]:
        parents = {proposal.parent for proposal in self.underway.values() if proposal.parent is not None}
        return parents | {self.last[member].id for member in self.healthy()}

    def winner(self) -> int | None:
        if not self.healthy():
            return None
        return self.last[self._best_first(self.rng("winner"))[0]].id

    def _best_first(self, rng: np.random.Generator) -> list[int]:
        """The contenders by fitness; ties in random order."""
        fitness = self.fitness
        return ranking({member: fitness[member] for member in self.contenders()}, rng)[::-1]

    def _reevaluate(self) -> list[Proposal]:
        """Spend the rest of the budget on evaluating the best members again, fewer each round, so that a lucky winner is exposed.

        Within a round all of them get the same evaluation seeds, which no generation has used before.
        """
        self._reevaluations += 1
        limit = max(2, self.plan.population // 2**self._reevaluations)
        # This word names a random stream: another one would break ties differently.
        number = self._reevaluations_before + self._reevaluations
        healthy = set(self.healthy()) - self._not_again
        best = [member for member in self._best_first(self.rng("play-off", generation=number)) if member in healthy][:limit]
        share: Mapping[int, int | None] = affordable({m: self._evaluated[m] for m in best}, self.account.left)
        if self._reevaluations <= self.plan.free_rounds:
            share = dict.fromkeys(best)  # as many episodes as usual
        # The generation determines the evaluation seeds, so members that had fewer generations than others skip some numbers.
        newest = max(self._begun.values(), default=0)
        self._begun.update(dict.fromkeys(share, newest))
        return [self.propose(member, self.as_it_is(member), units=0, episodes=episodes) for member, episodes in share.items()]


class Generational(Bookkeeping):
    """A population in which all members finish a generation before any begins the next. Members are numbered from `first` on."""

    def __init__(self, problem: Problem, *, first: int = 0) -> None:
        super().__init__(problem)
        self.members = range(first, first + problem.plan.population)

    def work(self) -> list[Proposal]:
        if self.underway or self.generations_left == 0:
            return []
        if not self.last:
            units = self.allowance(len(self.members))
            return [self.begin(member, units) for member in self.members]
        members = self.continuing()
        units = self.allowance(len(members)) if members else 0
        return self.generate(members, units) if units else []

    @abstractmethod
    def generate(self, members: Sequence[int], units: int) -> list[Proposal]:
        """The next generation (not the first): one proposal of `units` units for each of the members."""

    def continuing(self) -> list[int]:
        """The members of the next generation: all of them, unless a method drops those that failed."""
        return sorted(self.results)

    @property
    def generation(self) -> int:
        """The number of the next generation."""
        return max(self._begun.values(), default=-1) + 1

    def allowance(self, members: int) -> int:
        """Units that each of the `members` trains for in this generation, and in all later ones if costs stay the same."""
        return self.account.allowance(members, self.generations_left)

    @property
    def generations_left(self) -> int:
        """Generations of the plan that are still to come."""
        return self.plan.generations - (self.generation - self._untrained_generations)
