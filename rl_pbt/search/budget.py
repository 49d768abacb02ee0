"""How many units each proposal may train for, so that all methods end at the same budget, evaluation included.

A *unit* is what the task counts: an environment frame, an update, a sentence.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from rl_pbt.errors import BadSetting
from rl_pbt.records import Cost, Proposal, Result

if TYPE_CHECKING:
    from rl_pbt.config import RunConfig

# Share of the budget kept back: an evaluation's cost is known only afterwards, and the last one may cost more than those before.
RESERVE_SHARE = 0.002


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A budget divided into generations. All numbers but `population` are in units; members train for multiples of `quantum`.

    With `free_evaluation`, evaluation costs no units, and the final re-evaluation is limited only by a number of rounds. There
    are at least two generations: an evaluation's cost is known only after the first, and without it the budget could not be kept.
    Raises BadSetting for an impossible plan.
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

    @classmethod
    def nominal(cls, config: RunConfig) -> Plan:
        """As much of the plan of a configuration as does not depend on what its task says of quanta and evaluation."""
        return cls(population=config.population, budget_per_member=config.budget, interval=config.interval)

    @property
    def generations(self) -> int:
        """The number of generations if each lasts one interval; at least 2."""
        return max(2, self.budget_per_member // self.interval)

    @property
    def shortest(self) -> float:
        """Half a generation, in units: training for less is not worth an evaluation."""
        return min(self.interval, self.budget_per_member / 2) / 2

    @property
    def total(self) -> int:
        """The budget of the whole population, in units, rounded down to whole quanta per member."""
        return self.population * (self.budget_per_member // self.quantum * self.quantum)

    @property
    def free_rounds(self) -> int:
        """Rounds of the final re-evaluation if it costs nothing (else 0): the population is halved until two are left."""
        return max(1, self.population.bit_length() - 2) if self.free_evaluation else 0


@final
class Account:
    """What one method has spent of its plan and what it has committed to spend, in units.

    An evaluation is expected to cost the mean of the latest ones, as many as the population has members; for a result that was
    not evaluated, its foreseen cost counts. One more evaluation of the whole population is kept back for the final re-evaluation.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.spent = Cost()
        self._committed: dict[int, Proposal] = {}  # underway, by id
        self._evaluations: deque[int] = deque(maxlen=plan.population)

    @property
    def evaluation(self) -> float:
        """The expected cost of evaluating one proposal."""
        return sum(self._evaluations) / len(self._evaluations) if self._evaluations else 0.0

    @property
    def left(self) -> float:
        """What is neither spent nor committed nor held in reserve."""
        committed = sum(p.units + (self.evaluation if p.evaluates else 0) for p in self._committed.values())
        reserve = RESERVE_SHARE * self.plan.total if self.evaluation else 0
        return self.plan.total - reserve - self.spent.units - committed

    def commit(self, proposal: Proposal) -> None:
        """The proposal is underway: its training, and its expected evaluation, count as spent."""
        self._committed[proposal.id] = proposal

    def charge(self, proposal: Proposal, result: Result) -> None:
        """The proposal is finished, at the cost of this result."""
        del self._committed[proposal.id]
        self.spent = self.spent + result.cost
        if proposal.trains:
            self._evaluations.append(result.foreseen_units if result.unevaluated else result.cost.eval_units)

    def allowance(self, members: int, proposals: int) -> int:
        """Training units for the next proposal of each of the `members`, each of which will make at most `proposals` more.

        What is left is shared equally by all these proposals, so that members are ranked at equal age. If evaluation turns out so
        costly that a proposal would have less than half an interval, there are fewer proposals, not shorter ones; 0 if there can
        be none at all.
        """
        for fewer in range(proposals, 1, -1):
            units = self._share(members * fewer, self.evaluation)
            if units >= self.plan.shortest:
                return units
        # The last proposals assume the highest evaluation cost seen: nothing later could make up for an overrun.
        units = self._share(members, max(self._evaluations, default=0))
        return units if units >= self.plan.shortest or not self.evaluation else 0

    def allowance_until_evaluated(self, members: int, proposals: int) -> tuple[int, bool]:
        """The same if only the last proposal of each member is evaluated; and whether the next proposal is the last.

        There are fewer proposals only if they would be shorter than a quantum; 0 if the rest only pays for evaluation.
        """
        for fewer in range(proposals, 1, -1):
            if units := self._share(members * fewer, self.evaluation, evaluated=members):
                return units, False
        return self._share(members, max(self._evaluations, default=0), evaluated=members), True

    def room(self, units: int) -> int:
        """How many of `units`, in whole quanta, one more proposal may train for now."""
        return min(units // self.plan.quantum * self.plan.quantum, self._share(1, self.evaluation))

    def _share(self, proposals: int, evaluation: float, evaluated: int | None = None) -> int:
        """Training units of each proposal, in whole quanta.

        `evaluated` of the proposals (None: all) are evaluated, and the whole population once more at the end.
        """
        available = self.left - evaluation * ((proposals if evaluated is None else evaluated) + self.plan.population)
        return max(0, int(available / proposals / self.plan.quantum)) * self.plan.quantum


def affordable(evaluated: Mapping[int, tuple[int, int]], units: float) -> dict[int, int]:
    """How many more episodes each member may be evaluated on, for `units` in total; first come, first served.

    `evaluated` is the units and the episodes of each member's last evaluation. No member gets more episodes than that; those for
    whom not even one episode is left are not in the answer.
    """
    share: dict[int, int] = {}
    for member, (cost, episodes) in evaluated.items():
        more = min(episodes, int(units * episodes / cost)) if cost > 0 and units > 0 else 0
        if more < 1:
            break
        share[member] = more
        units -= cost * more / episodes
    return share
