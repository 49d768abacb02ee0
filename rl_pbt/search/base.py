"""What the controller asks of a search method, and what synchronous methods share."""

from __future__ import annotations

from typing import Protocol

from rl_pbt import seeds
from rl_pbt.records import Hypers, Proposal, Result, pooled
from rl_pbt.search.budget import Account, Plan, affordable
from rl_pbt.search.operators import ranking
from rl_pbt.space import Space


class Method(Protocol):
    """A checked conversation: `ask` for work until it is empty; `tell` what came of each proposal, by id, once."""

    def ask(self) -> list[Proposal]:
        """The proposals to work on next; all told before the next ask. Empty: the budget is spent."""
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


class Generational:
    """The books that synchronous methods keep: who is where, what is outstanding, what was spent."""

    def __init__(self, *, space: Space, plan: Plan, root_seed: int) -> None:
        self.space = space
        self.plan = plan
        self.root_seed = root_seed
        self.account = Account(plan)
        self.generation = 0
        self.last: dict[int, Proposal] = {}  # each member's newest finished proposal
        self.results: dict[int, Result] = {}  # by member, of that proposal
        self._outstanding: dict[int, Proposal] = {}
        self._next_id = 0
        self._play_off_limit = plan.population
        self._evaluated: dict[int, tuple[int, int]] = {}  # by member: frames and episodes of its last trained proposal

    def next_generation(self) -> list[Proposal]:
        """What a method is: who trains on from where, with which hypers. Empty: nobody can go on."""
        raise NotImplementedError

    def ask(self) -> list[Proposal]:
        if self._outstanding:
            raise RuntimeError(f"ask came before proposals {sorted(self._outstanding)} were told")
        return self.next_generation() if self.generation < self.plan.generations else self._play_off()

    def _play_off(self) -> list[Proposal]:
        """What is left of the budget goes to judging the best again, ever fewer of them: a winner by luck is found out.

        The budget is met to half an episode and the last one's surprise, whatever the lengths in the last generation.
        """
        self._play_off_limit = max(2, self._play_off_limit // 2)
        best_first = ranking(self.fitness, seeds.rng(self.root_seed, purpose="play-off", generation=self.generation))[::-1]
        alive = set(self.alive())
        contenders = [member for member in best_first if member in alive][: self._play_off_limit]
        share = affordable(
            {member: self._evaluated[member] for member in contenders}, self.plan.total - self.account.spent.frames
        )
        return [
            self.propose(member, self.last[member].hypers, parent=self.last[member].id, frames=0, episodes=episodes)
            for member, episodes in share.items()
        ]

    def initial_hypers(self, member: int) -> Hypers:
        """The same for every method with this root seed, so that comparisons are paired."""
        return self.space.sample(seeds.rng(self.root_seed, purpose="initial hypers", member=member))

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
            generation=self.generation,
            hypers=hypers,
            parent=parent,
            frames=frames,
            hypers_from=hypers_from,
            episodes=episodes,
        )
        self._next_id += 1
        self._outstanding[proposal.id] = proposal
        return proposal

    def first_generation(self) -> list[Proposal]:
        frames = self.account.allowance(0, self.plan.population)
        return [
            self.propose(member, self.initial_hypers(member), parent=None, frames=frames)
            for member in range(self.plan.population)
        ]

    def tell(self, result: Result) -> None:
        if result.id not in self._outstanding:
            raise KeyError(f"proposal {result.id} is unknown or was told already")
        proposal = self._outstanding.pop(result.id)
        if proposal.trains:
            self.last[proposal.member] = proposal
            self.results[proposal.member] = result
            self._evaluated[proposal.member] = (result.cost.eval_frames, len(result.returns))
        else:
            self.results[proposal.member] = pooled(self.results[proposal.member], result)
        self.account.charge(result.cost)
        if not self._outstanding:
            self.generation += 1

    @property
    def fitness(self) -> dict[int, float]:
        return {member: result.rank_key for member, result in self.results.items()}

    def alive(self) -> list[int]:
        return [member for member, result in sorted(self.results.items()) if result.failure is None]

    def needed(self) -> set[int]:
        return {self.last[member].id for member in self.alive()}

    def winner(self) -> int | None:
        if not self.alive():
            return None
        return self.last[ranking(self.fitness, seeds.rng(self.root_seed, purpose="winner"))[-1]].id
