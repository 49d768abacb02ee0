"""The update of GPBT-PL on numbers worked out by hand."""

from collections.abc import Iterator

import pytest

from rl_pbt.records import Cost, Proposal, Result
from rl_pbt.search import Plan, Problem
from rl_pbt.search.evolution_options import QuarterOptions
from rl_pbt.search.gpbt_pl import GPBTPL
from rl_pbt.space import Space

SPACE = Space.parse({"lr": "log:1e-4:1", "units": "int:0:10"})


class Draws:
    """Stands for the generator: r1 is 0.5 and r2 0.25 for the learning rate, 0.5 and 0.75 for the units; nothing is resampled."""

    def __init__(self) -> None:
        self._drawn: Iterator[object] = iter([(0.5, 0.25), 0.25, (0.5, 0.75), 0.25])

    def random(self, size: int | None = None) -> object:
        drawn = next(self._drawn)
        assert isinstance(drawn, float if size is None else tuple)
        return drawn


def make(population: int) -> GPBTPL:
    plan = Plan(population=population, budget_per_member=400, interval=100)
    return GPBTPL(Problem(space=SPACE, plan=plan, root_seed=0), QuarterOptions())


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
    assert all(p.parent in (first[6].id, first[7].id) for p in second[:4])
    assert all(p.parent == p.member for p in second[4:])


def test_one_hyperparameter_in_four_is_resampled_and_the_others_move_towards_the_winners() -> None:
    """Of a hundred members that begin with little: whoever learns cannot pass the winner's value in its first step."""
    space = Space.parse({f"h{number}": "linear:0:1" for number in range(40)})
    method = GPBTPL(
        Problem(space=space, plan=Plan(population=100, budget_per_member=4, interval=1), root_seed=0), QuarterOptions()
    )
    method.initial_hypers = lambda member: dict.fromkeys(space.dimensions, 0.25 if member < 25 else 0.5)  # type: ignore[method-assign]
    fitness: dict[int, float | None] = {member: float(member) for member in range(100)}
    told(method, fitness)
    moved = [float(value) for p in told(method, fitness)[:25] for value in p.hypers.values()]
    resampled = [value for value in moved if not 0.25 <= value <= 0.5]
    assert len(resampled) / (len(moved) * 0.75) == pytest.approx(0.25, abs=0.05), "a quarter of the draws is between the two"
    assert min(resampled) < 0.05 and max(resampled) > 0.95
    at_rest = [value == 0.0 for velocities in method.velocities.values() for value in velocities.values()]
    assert sum(at_rest) / len(at_rest) == pytest.approx(0.25, abs=0.05), "what is resampled has the velocity of the winner, none"
