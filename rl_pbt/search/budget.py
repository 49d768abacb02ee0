"""How many units each proposal may train for, so that methods stop at the same budget, evaluation included.

A *unit* is what the task counts: an environment frame, an update, a sentence.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from rl_pbt.errors import BadSetting
from rl_pbt.records import Cost, Proposal, Result

# Kept back: what an evaluation costs is known when it is over, and the last one may be longer than those before.
RESERVE_SHARE = 0.002


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A budget cut into generations. All numbers but `population` are in units; a member trains for multiples of `quantum`.

    With `free_evaluation` judging costs no units, and nothing but a number of rounds limits the final re-evaluation.
    There are two generations at least: what an evaluation costs is known after the first, and only then can the budget be kept.
    Raises BadSetting for a plan that cannot be.
    """

    population: int
    budget_per_member: int
    interval: int
    quantum: int = 1
    free_evaluation: bool = False

    def __post_init__(self) -> None:
        if self.population < 2:
            raise BadSetting("population", f"must be 2 or more (there is nobody to copy from), but is {self.population}")
        if self.budget_per_member <= 0:
            raise BadSetting("budget", f"must be above 0, but is {self.budget_per_member}")
        if self.interval <= 0:
            raise BadSetting("interval", f"must be above 0, but is {self.interval}")
        if self.interval > self.budget_per_member:
            raise BadSetting("interval", f"must be no longer than the budget, {self.budget_per_member}, but is {self.interval}")
        if self.interval < self.quantum:
            raise BadSetting(
                "interval", f"must be {self.quantum}, the least that a member trains for, or more, but is {self.interval}"
            )

    @property
    def generations(self) -> int:
        """How many there are if each lasts an interval."""
        return max(2, self.budget_per_member // self.interval)

    @property
    def shortest(self) -> float:
        """Half a generation, in units: to train for less is not worth an evaluation."""
        return min(self.interval, self.budget_per_member / 2) / 2

    @property
    def total(self) -> int:
        """The budget of the whole population, in units: the part of a quantum that a member cannot train for is not in it."""
        return self.population * (self.budget_per_member // self.quantum * self.quantum)

    @property
    def free_rounds(self) -> int:
        """Rounds of the final re-evaluation where it costs nothing: the population is halved until two are left."""
        return max(1, self.population.bit_length() - 2) if self.free_evaluation else 0


@final
class Account:
    """What one method spent of its plan, and what it has committed itself to; everything in units.

    An evaluation is expected to cost what the last ones did, as many as the population has members, or what it would have cost
    where nobody was judged. One more evaluation of the whole population is kept back for the final re-evaluation.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.spent = Cost()
        self._committed: dict[int, Proposal] = {}  # underway, by id
        self._evaluations: deque[int] = deque(maxlen=plan.population)

    @property
    def evaluation(self) -> float:
        """What judging one proposal is expected to cost."""
        return sum(self._evaluations) / len(self._evaluations) if self._evaluations else 0.0

    @property
    def left(self) -> float:
        """What is neither spent nor committed nor the reserve."""
        committed = sum(p.units + (self.evaluation if p.judges else 0) for p in self._committed.values())
        reserve = RESERVE_SHARE * self.plan.total if self.evaluation else 0
        return self.plan.total - reserve - self.spent.units - committed

    def commit(self, proposal: Proposal) -> None:
        """The proposal is underway: its training is as good as spent."""
        self._committed[proposal.id] = proposal

    def charge(self, proposal: Proposal, result: Result) -> None:
        """The proposal is finished, at this cost."""
        del self._committed[proposal.id]
        self.spent = self.spent + result.cost
        if proposal.trains:
            self._evaluations.append(result.foreseen_units if result.unjudged else result.cost.eval_units)

    def allowance(self, members: int, proposals: int) -> int:
        """Training units for the next proposal of each of the `members`, each of whom will make at most `proposals` more.

        What is left is shared equally by all of them, so that members are ranked at equal age. Where evaluation has turned out so
        costly that less than half an interval would remain, there are fewer proposals, not shorter ones; 0 where there can be
        none.
        """
        for fewer in range(proposals, 1, -1):
            units = self._share(members * fewer, self.evaluation)
            if units >= self.plan.shortest:
                return units
        # The last ones count on judging at its costliest: nothing can make up for them.
        units = self._share(members, max(self._evaluations, default=0))
        return units if units >= self.plan.shortest or not self.evaluation else 0

    def allowance_until_judged(self, members: int, proposals: int) -> tuple[int, bool]:
        """The same where only the last proposal of each member is judged, and whether that is this one.

        There are fewer of them only where they would be shorter than a quantum; 0 where nothing is left but to judge.
        """
        for fewer in range(proposals, 1, -1):
            if units := self._share(members * fewer, self.evaluation, judged=members):
                return units, False
        return self._share(members, max(self._evaluations, default=0), judged=members), True

    def room(self, units: int) -> int:
        """As many of `units`, in whole quanta, as one more proposal may train for now."""
        return min(units // self.plan.quantum * self.plan.quantum, self._share(1, self.evaluation))

    def _share(self, proposals: int, evaluation: float, judged: int | None = None) -> int:
        """Training units of each proposal, in whole quanta, if all of them, or so many, are judged and the population once more
        at the end.
        """
        available = self.left - evaluation * ((proposals if judged is None else judged) + self.plan.population)
        return max(0, int(available / proposals / self.plan.quantum)) * self.plan.quantum


def affordable(evaluated: Mapping[int, tuple[int, int]], units: float) -> dict[int, int]:
    """How many episodes more each member may play for `units` in all, first come first served.

    `evaluated` says what each member's last evaluation cost: units and episodes. Nobody plays more episodes than that.
    """
    share: dict[int, int] = {}
    for member, (cost, episodes) in evaluated.items():
        more = min(episodes, int(units * episodes / cost)) if cost > 0 and units > 0 else 0
        if more < 1:
            break
        share[member] = more
        units -= cost * more / episodes
    return share
