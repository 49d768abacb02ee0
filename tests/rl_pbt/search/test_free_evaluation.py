"""Where judging costs nothing: all methods spend the same budget to the unit, and the best are judged again all the same."""

from __future__ import annotations

import pytest

from rl_pbt.errors import UserError
from rl_pbt.options import built, fields_of
from rl_pbt.records import Cost, Proposal, Result
from rl_pbt.search import METHODS, Plan, Problem
from rl_pbt.space import Space

SPACE = Space.parse({"rate": "log:1e-4:1e-1", "depth": "int:1:8", "nesterov": "choice:true:false"})
PUBLISHED = {"rate": 0.01, "depth": 2, "nesterov": True}
# Of these the budget is no multiple of the quantum, or its quanta are no multiple of the generations.
PLANS = [
    {"budget_per_member": 20, "interval": 4, "quantum": 3},
    {"budget_per_member": 100, "interval": 12, "quantum": 8},
    {"budget_per_member": 100_000, "interval": 5_000, "quantum": 4096},
    {"budget_per_member": 20, "interval": 1, "quantum": 1},
]


def spent(name: str, plan: Plan) -> tuple[int, list[Proposal]]:
    """Units that a method trained for, and what it judged again."""
    entry = METHODS[name]
    problem = Problem(space=SPACE, plan=plan, root_seed=1, published=PUBLISHED)
    try:
        method = entry.make(problem, built(entry.options, {"annealed": "rate"} if "annealed" in fields_of(entry.options) else {}))
    except UserError as error:
        if "not installed" in str(error) or "needs" in str(error):
            pytest.skip(str(error))
        raise
    units, again, ages = 0, [], {None: 0}
    underway = method.ask()
    while underway:
        proposal = underway.pop(0)
        assert proposal.units % plan.quantum == 0
        assert proposal.evaluates, "it costs nothing, and curves are made of it"
        units += proposal.units
        again += [] if proposal.trains else [proposal]
        ages[proposal.id] = ages[proposal.parent] + proposal.units
        fitness = float(proposal.member * 7 % 5 + ages[proposal.id] / plan.total)
        cost = Cost(train_units=proposal.units)
        method.tell(Result(proposal=proposal.id, fitness=fitness, returns=(fitness,), cost=cost, lineage_units=ages[proposal.id]))
        underway += method.ask()
    assert method.winner() is not None
    return units, again


@pytest.mark.parametrize("settings", PLANS, ids=str)
@pytest.mark.parametrize("name", [name for name, entry in METHODS.items() if not entry.replays])
def test_all_methods_spend_the_whole_budget_and_judge_the_best_again(name: str, settings: dict[str, int]) -> None:
    plan = Plan(population=8, free_evaluation=True, **settings)
    units, again = spent(name, plan)
    assert units == plan.total
    assert 2 <= len(again) <= 4 + 2
    assert all(proposal.episodes is None for proposal in again)


def test_two_members_are_judged_again_once() -> None:
    _, again = spent("random", Plan(population=2, budget_per_member=10, interval=5, free_evaluation=True))
    assert len(again) == 2
