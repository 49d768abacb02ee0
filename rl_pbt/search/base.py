"""What the controller asks of a search method, and the books that all methods keep."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from rl_pbt import seeds
from rl_pbt.records import Hypers, Proposal, Result, pooled
from rl_pbt.search.budget import Account, affordable
from rl_pbt.search.exploit import ranking
from rl_pbt.search.setup import Setup


class Method(Protocol):
    """A checked conversation: `ask` for work, `tell` what came of each proposal, by id, once."""

    def ask(self) -> list[Proposal]:
        """Proposals that can be worked on from now on.

        Empty while other work is underway: nothing yet. Empty with nothing underway: the budget is spent.
        """
        ...

    def tell(self, result: Result) -> None:
        """Raises KeyError, with the id, for a proposal that is unknown or told already."""
        ...

    def needed(self) -> set[int]:
        """Ids of the finished proposals whose checkpoints may still be a parent or the winner."""
        ...

    def winner(self) -> int | None:
        """Id of the finished proposal to test: highest fitness among the members as they are now. None: all failed."""
        ...


class Books:
    """Who is where, what is underway, what was spent; and a play-off of the best with what is left at the end.

    A method says in `work` what it wants done. A member's generation counts its proposals.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.space = setup.space
        self.plan = setup.plan
        self.account = Account(setup.plan)
        self.last: dict[int, Proposal] = {}  # each member's newest finished proposal
        self.results: dict[int, Result] = {}  # by member, of that proposal
        self.underway: dict[int, Proposal] = {}  # by id
        self._begun: dict[int, int] = {}  # by member: the generation of its newest proposal
        self._evaluated: dict[int, tuple[int, int]] = {}  # by member: frames and episodes of its last trained proposal
        self._next_id = 0
        self._play_offs = 0

    def work(self) -> list[Proposal]:
        """What a method is: who trains on from where, with which hypers. Empty: nothing yet or, with none underway, ever."""
        raise NotImplementedError

    def ask(self) -> list[Proposal]:
        proposals = [] if self._play_offs else self.work()
        return proposals if proposals or self.underway else self._play_off()

    def tell(self, result: Result) -> None:
        if result.id not in self.underway:
            raise KeyError(f"proposal {result.id} is unknown or was told already")
        proposal = self.underway.pop(result.id)
        self.account.charge(proposal, result)
        if proposal.trains:
            self.last[proposal.member] = proposal
            self.results[proposal.member] = result
            self._evaluated[proposal.member] = (result.cost.eval_frames, len(result.returns))
        else:
            self.results[proposal.member] = pooled(self.results[proposal.member], result)

    def propose(
        self,
        member: int,
        hypers: Hypers,
        *,
        parent: int | None,
        frames: int,
        hypers_from: int | None = None,
        episodes: int | None = None,
    ) -> Proposal:
        proposal = Proposal(
            id=self._next_id,
            member=member,
            generation=self.next_generation(member),
            hypers=hypers,
            parent=parent,
            frames=frames,
            hypers_from=hypers_from,
            episodes=episodes,
        )
        self._next_id += 1
        self._begun[member] = proposal.generation
        self.underway[proposal.id] = proposal
        self.account.commit(proposal)
        return proposal

    def go_on(self, member: int, frames: int) -> Proposal:
        """The member trains on with its own weights and hypers."""
        return self.propose(member, self.last[member].hypers, parent=self.last[member].id, frames=frames)

    def next_generation(self, member: int) -> int:
        return self._begun.get(member, -1) + 1

    def initial_hypers(self, member: int) -> Hypers:
        """The same for every method with this root seed, so that comparisons are paired."""
        return self.space.sample(self.rng("initial hypers", member=member))

    def rng(self, purpose: str, *, member: int | None = None, generation: int | None = None) -> np.random.Generator:
        return seeds.rng(self.setup.root_seed, purpose=purpose, member=member, generation=generation)

    @property
    def fitness(self) -> dict[int, float]:
        return {member: result.rank_key for member, result in self.results.items()}

    def alive(self) -> list[int]:
        return [member for member, result in sorted(self.results.items()) if result.failure is None]

    def needed(self) -> set[int]:
        parents = {proposal.parent for proposal in self.underway.values() if proposal.parent is not None}
        return parents | {self.last[member].id for member in self.alive()}

    def winner(self) -> int | None:
        if not self.alive():
            return None
        return self.last[ranking(self.fitness, self.rng("winner"))[-1]].id

    def _play_off(self) -> list[Proposal]:
        """What is left of the budget goes to judging the best again, ever fewer of them: a winner by luck is found out.

        Each time they meet the same evaluation seeds, which no generation has met.
        """
        self._play_offs += 1
        limit = max(2, self.plan.population >> self._play_offs)
        best_first = ranking(self.fitness, self.rng("play-off", generation=self._play_offs))[::-1]
        alive = set(self.alive())
        contenders = [member for member in best_first if member in alive][:limit]
        share = affordable({member: self._evaluated[member] for member in contenders}, self.account.left)
        # Members that had fewer generations than others skip some: the generation names the evaluation seeds.
        newest = max(self._begun.values(), default=0)
        self._begun.update(dict.fromkeys(share, newest))
        return [
            self.propose(member, self.last[member].hypers, parent=self.last[member].id, frames=0, episodes=episodes)
            for member, episodes in share.items()
        ]


class Generational(Books):
    """A population whose members all end a generation before any begins the next."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.members = range(setup.plan.population)

    def work(self) -> list[Proposal]:
        if self.underway or self.generation == self.plan.generations:
            return []
        return self.generate() if self.last else self.first_generation()

    def generate(self) -> list[Proposal]:
        """The next generation, after the first."""
        raise NotImplementedError

    @property
    def generation(self) -> int:
        """The one that is next."""
        return max(self._begun.values(), default=-1) + 1

    def allowance(self, members: int) -> int:
        """Training frames of each of the `members` that this generation and all to come will have."""
        return self.account.allowance(members, self.plan.generations - self.generation)

    def first_generation(self) -> list[Proposal]:
        frames = self.allowance(len(self.members))
        return [self.propose(member, self.initial_hypers(member), parent=None, frames=frames) for member in self.members]
