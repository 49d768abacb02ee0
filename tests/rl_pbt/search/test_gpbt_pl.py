"""The update of GPBT-PL on numbers worked out by hand."""

import numpy as np
import pytest

from rl_pbt.records import Cost, Proposal, Result
from rl_pbt.search import Plan, Problem
from rl_pbt.search.gpbt_pl import GPBTPL, GPBTPLOptions
from rl_pbt.space import Space

SPACE = Space.parse({"lr": "log:1e-4:1", "units": "int:0:10"})


class Draws:
    """Stands for the generator: r1 is 0.5 and r2 0.25 for the learning rate, 0.5 and 0.75 for the units."""

    def __init__(self) -> None:
        self._pairs = iter([(0.5, 0.25), (0.5, 0.75)])

    def random(self, size: int) -> tuple[float, float]:
        assert size == 2
        return next(self._pairs)


def make(population: int) -> GPBTPL:
    plan = Plan(population=population, budget_per_member=400, interval=100)
    return GPBTPL(Problem(space=SPACE, plan=plan, root_seed=0), GPBTPLOptions())


def told(method: GPBTPL, fitness: dict[int, float | None]) -> list[Proposal]:
    asked = method.ask()
    for p in asked:
        value = fitness[p.member]
        failure = "diverged" if value is None else None
        method.tell(Result(proposal=p.id, fitness=value, failure=failure, cost=Cost(train_units=p.units)))
    return asked


def test_a_loser_moves_from_its_own_hypers_towards_the_winners_with_a_velocity_that_is_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    method = make(4)
    initial = [{"lr": 1e-4, "units": 0}, {"lr": 1e-2, "units": 4}, {"lr": 1e-2, "units": 4}, {"lr": 1.0, "units": 8}]
    monkeypatch.setattr(method, "initial_hypers", initial.__getitem__)
    rng = method.rng
    monkeypatch.setattr(method, "rng", lambda purpose, **key: Draws() if purpose == "learn" else rng(purpose, **key))
    fitness: dict[int, float | None] = {0: 0.0, 1: 1.0, 2: 2.0, 3: 3.0}
    first = told(method, fitness)
    second = told(method, fitness)
    # v = 0.5 * 0 + 0.25 * (1 - 0) = 0.25, of four decades; v = 0.75 * (0.8 - 0) = 0.6
    assert second[0].hypers == {"lr": pytest.approx(1e-3), "units": 6}
    assert second[0].parent == second[0].hypers_from == first[3].id
    assert [p.hypers for p in second[1:]] == initial[1:] and [p.parent for p in second[1:]] == [1, 2, 3]
    third = told(method, fitness)
    # v = 0.5 * 0.25 + 0.25 * (1 - 0.25) = 0.3125; v = 0.5 * 0.6 + 0.75 * (0.8 - 0.6) = 0.45, which is clipped at 1
    assert method.velocities == {0: {"lr": pytest.approx(0.3125), "units": pytest.approx(0.45)}}
    assert third[0].hypers == {"lr": pytest.approx(10 ** (-4 + 4 * 0.5625)), "units": 10}


def test_a_failure_is_slow_wherever_it_ranks_and_learns_too() -> None:
    method = make(8)
    first = told(method, {member: None if member < 4 else float(member) for member in range(8)})
    second = method.ask()
    assert [p.member for p in second if p.hypers_from is not None] == [0, 1, 2, 3]
    for p in second[:4]:
        assert p.parent in (first[6].id, first[7].id)
        ends = [SPACE.dimensions["lr"].unit(first[id_].hypers["lr"]) for id_ in (p.member, p.parent)]
        assert min(ends) <= SPACE.dimensions["lr"].unit(p.hypers["lr"]) <= max(ends), "between its own and the winner's"
    assert np.all([p.parent == p.member for p in second[4:]])
