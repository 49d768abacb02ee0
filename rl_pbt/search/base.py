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
    """A checked conversation: `ask` for work, `tell` the result of each proposal, by id, once."""

    @abstractmethod
    def ask(self) -> list[Proposal]:
        """Proposals that can be worked on from now on.

        Empty while other work is underway: nothing yet. Empty with nothing underway: the budget is spent.
        """
        ...

    @abstractmethod
    def tell(self, result: Result) -> None:
        """Raises KeyError, with the id, for a proposal that is unknown or told already."""
        ...

    @abstractmethod
    def needed(self) -> set[int]:
        """Ids of the finished proposals whose checkpoints may still be a parent or the winner."""
        ...

    @abstractmethod
    def extend(self, plan: Plan) -> None:
        """Go on, after the end, with a larger budget, of which all that was spent so far is a part.

        Only where the registry says that the method `extends`: others have made choices for the whole budget they knew.
        """
        ...

    @abstractmethod
    def winner(self) -> int | None:
        """Id of the finished proposal to test: highest fitness among the members as they are now. None: all failed."""
        ...


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a proposal starts from: the checkpoint of proposal `parent`, or fresh weights without one, and `hypers`.

    `hypers_from` is the proposal that they were copied from, explored since or not, where that is another member's.
    """

    hypers: Hypers
    parent: int | None = None
    hypers_from: int | None = None


class Bookkeeping(Method, ABC):
    """Where each member is, what is underway, what was spent; at the end, what is left re-evaluates the best members.

    A method says in `work` what it wants done. A member's generation counts its proposals.
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
        self._evaluated: dict[int, tuple[int, int]] = {}  # by member: units and episodes of its last trained proposal
        self._next_id = 0
        self._reevaluations = 0  # rounds so far
        self._reevaluations_before = 0  # of earlier budgets
        self._not_again: set[int] = set()  # members that failed when they were judged again
        self._judging_generations = 0  # generations, by number, in which nobody trained

    @abstractmethod
    def work(self) -> list[Proposal]:
        """What the method asks for next: who trains, from where, with which hyperparameters.

        Empty where it must wait for work underway and, with none underway, at the end.
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
            if before.unjudged:
                self._evaluated[proposal.member] = (result.cost.eval_units, len(result.returns))
            if result.failure is not None:
                self._not_again.add(proposal.member)

    def propose(self, member: int, start: Start, *, units: int, episodes: int | None = None) -> Proposal:
        """Enter the member's next proposal: `units` units of training or, with 0, `episodes` more of evaluation.

        With both `units` and 0 `episodes`, nobody needs to know how good it will be.
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
        """The member's first proposal: fresh weights, initial hypers."""
        return self.propose(member, Start(hypers=self.initial_hypers(member)), units=units)

    def resume(self, member: int, units: int) -> Proposal:
        """The member trains on with its own weights and hypers."""
        return self.propose(member, self.as_it_is(member), units=units)

    def as_it_is(self, member: int) -> Start:
        """The member's own newest checkpoint and hypers."""
        return Start(parent=self.last[member].id, hypers=self.last[member].hypers)

    def next_generation(self, member: int) -> int:
        """The generation that the member's next proposal will have, from 0 on."""
        return self._begun.get(member, -1) + 1

    def intervals_trained(self, member: int) -> int:
        """How many generations of the plan are behind the member: without those that only judged again."""
        return self.next_generation(member) - self._judging_generations

    def extend(self, plan: Plan) -> None:
        self.plan = self.account.plan = plan
        self.problem = replace(self.problem, plan=plan)
        newest = max(self._begun.values(), default=-1)
        self._judging_generations += newest - max((proposal.generation for proposal in self.last.values()), default=-1)
        self._begun = dict.fromkeys(self._begun, newest)  # members of one generation are judged on the same seeds
        self._not_again = set()
        self._reevaluations_before += self._reevaluations
        self._reevaluations = 0

    def initial_hypers(self, member: int) -> Hypers:
        """A draw from the prior: the same for every method with this root seed, so that comparisons are paired."""
        return self.space.sample(self.rng("initial hypers", member=member))

    def rng(self, purpose: str, *, member: int | None = None, generation: int | None = None) -> np.random.Generator:
        """The problem's random stream of that name."""
        return seeds.rng(self.problem.root_seed, purpose=purpose, member=member, generation=generation)

    @property
    def fitness(self) -> dict[int, float]:
        """By member, of its newest result; failures rank below everything. Raises ValueError where one was not judged."""
        return {member: result.rank_key for member, result in self.results.items()}

    def healthy(self) -> list[int]:
        """Members whose newest result is not a failure."""
        return [member for member, result in sorted(self.results.items()) if result.failure is None]

    def needed(self) -> set[int]:
        parents = {proposal.parent for proposal in self.underway.values() if proposal.parent is not None}
        return parents | {self.last[member].id for member in self.healthy()}

    def winner(self) -> int | None:
        if not self.healthy():
            return None
        return self.last[ranking(self.fitness, self.rng("winner"))[-1]].id

    def _reevaluate(self) -> list[Proposal]:
        """What is left of the budget goes to judging the best again, fewer each time, so that a lucky winner is exposed.

        Each time they meet the same evaluation seeds, which no generation has met.
        """
        self._reevaluations += 1
        limit = max(2, self.plan.population // 2**self._reevaluations)
        # "play-off" names a random stream: another name would break ties in another way.
        number = self._reevaluations_before + self._reevaluations
        best_first = ranking(self.fitness, self.rng("play-off", generation=number))[::-1]
        healthy = set(self.healthy()) - self._not_again
        contenders = [member for member in best_first if member in healthy][:limit]
        share: Mapping[int, int | None] = affordable({m: self._evaluated[m] for m in contenders}, self.account.left)
        if self._reevaluations <= self.plan.free_rounds:
            share = dict.fromkeys(contenders)  # as many episodes as usual
        # Members that had fewer generations than others skip some: the generation names the evaluation seeds.
        newest = max(self._begun.values(), default=0)
        self._begun.update(dict.fromkeys(share, newest))
        return [self.propose(member, self.as_it_is(member), units=0, episodes=episodes) for member, episodes in share.items()]


class Generational(Bookkeeping):
    """A population whose members all end a generation before any begins the next. Its members are numbered from `first` on."""

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
        """The next generation, after the first: a proposal of `units` units for each of the members."""

    def continuing(self) -> list[int]:
        """Members of the next generation: all, unless a method gives up those that failed."""
        return sorted(self.results)

    @property
    def generation(self) -> int:
        """The one that is next."""
        return max(self._begun.values(), default=-1) + 1

    def allowance(self, members: int) -> int:
        """Training units of each of the `members` that this generation and all to come will have."""
        return self.account.allowance(members, self.generations_left)

    @property
    def generations_left(self) -> int:
        """Of the plan."""
        return self.plan.generations - (self.generation - self._judging_generations)
