"""What PBT is for: the best learning rate decays while one trains, so whoever holds one constant falls behind."""

import math

import pytest

from rl_pbt.records import Cost, Result
from rl_pbt.report.statistics import difference_of
from rl_pbt.search import METHODS, Plan, Problem
from rl_pbt.space import Space

SPACE = Space.parse({"learning_rate": "log:1e-4:1e-1"})
UNITS = 2000
POPULATION = {"mf-pbt": 8}  # 4 otherwise, of which PBT and PB2 replace one at a time
GENERATIONS = {"pb2": 12}  # 20 otherwise; a model takes its time to choose, and gets far in fewer
WIDTH = 0.3  # decades
SEEDS = range(20)


def progress(learning_rate: float, age: float) -> float:
    """Per unit; in all 1 at most, at a learning rate that decays from 1e-2 to 1e-3 as one trains."""
    best = -2 - age / UNITS  # the logarithm to base 10
    return math.exp(-(((math.log10(learning_rate) - best) / WIDTH) ** 2)) / UNITS


def final(name: str, seed: int, population: int, generations: int) -> float:
    """How far the winner of a search comes: 1 for the best schedule there is."""
    plan = Plan(population=population, budget_per_member=UNITS, interval=UNITS // generations)
    method = METHODS[name].make(Problem(space=SPACE, plan=plan, root_seed=seed), METHODS[name].options())
    checkpoints: dict[int | None, tuple[float, int]] = {None: (0.0, 0)}  # by proposal: how far, and how old
    while proposals := method.ask():
        for proposal in proposals:
            far, age = checkpoints[proposal.parent]
            middle = age + proposal.units / 2
            far += proposal.units * progress(float(proposal.hypers["learning_rate"]), middle)
            checkpoints[proposal.id] = far, age + proposal.units
            method.tell(Result(proposal=proposal.id, fitness=far, returns=(far,), cost=Cost(train_units=proposal.units)))
    winner = method.winner()
    assert winner is not None
    return checkpoints[winner][0]


@pytest.mark.parametrize("name", ["pbt", "pb2", "gpbt-pl", "mf-pbt"])
def test_it_beats_random_search_where_the_best_learning_rate_decays(name: str) -> None:
    if name == "pb2":
        pytest.importorskip("sklearn", reason="pb2 needs scikit-learn: pip install -e '.[search]'")
    plan = POPULATION.get(name, 4), GENERATIONS.get(name, 20)
    theirs, random = ([[final(method, seed, *plan)] for seed in SEEDS] for method in (name, "random"))
    assert difference_of(theirs, random).sign == 1, "the interval over 20 seeds lies above 0"
