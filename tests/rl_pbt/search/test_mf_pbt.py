"""MF-PBT's decisions on fitness made by hand, and the frequencies it derives from a plan."""

import pytest

from rl_pbt.errors import BadSetting
from rl_pbt.records import Cost, Result
from rl_pbt.search import Plan, Problem
from rl_pbt.search.evolution_options import ExploringOptions
from rl_pbt.search.mf_pbt import MFPBT, Copy, SubPopulation, evolve, periods, sub_populations
from rl_pbt.space import Space

FAST, SLOW = SubPopulation(members=(0, 1, 2, 3), period=1), SubPopulation(members=(4, 5, 6, 7), period=3)
BOTH = (FAST, SLOW)


def decisions(fitness: list[float | None], deciding: tuple[SubPopulation, ...] = BOTH) -> dict[int, Copy]:
    def key(member: int) -> float:
        value = fitness[member]
        return float("-inf") if value is None else value

    order = sorted(range(8), key=key, reverse=True)
    return evolve(BOTH, deciding, order, dict(enumerate(fitness)))


def clone(donor: int) -> Copy:
    return Copy(weights=donor, hypers=donor, explore=True)


def test_the_last_quarter_copies_the_first_and_the_second_goes_on() -> None:
    assert decisions([4, 3, 2, 1, 0, -1, -2, -3], (FAST,)) == {3: clone(0)}, "no stranger is better than the third quarter"
    assert decisions([8, 7, 6, 5, 4, 3, 2, 1], ()) == {}


def test_a_better_migrant_of_a_slower_sub_population_brings_its_hypers_too() -> None:
    assert decisions([4, 3, 2, 1, 8, 7, 6, 5], (FAST,)) == {2: Copy(weights=4, hypers=4, explore=False), 3: clone(0)}


def test_a_better_migrant_of_a_faster_one_brings_weights_alone_and_the_own_bests_hypers_are_taken() -> None:
    assert decisions([8, 7, 6, 5, 4, 3, 2, 1], (SLOW,)) == {6: Copy(weights=0, hypers=4, explore=False), 7: clone(4)}


def test_the_last_quarter_is_paired_with_the_first_as_the_authors_do() -> None:
    """Their code ranks the best first and has `parents[ranking[-share:]] = ranking[:share]`; ranking 3 1 7 5 0 2 6 4, share 2."""
    alone = SubPopulation(members=tuple(range(8)), period=1)
    order = [3, 1, 7, 5, 0, 2, 6, 4]
    fitness = {member: float(-place) for place, member in enumerate(order)}
    assert evolve([alone], [alone], order, fitness) == {6: clone(3), 4: clone(1)}


def test_each_migrant_is_used_once() -> None:
    populations = (SubPopulation(members=tuple(range(8)), period=1), SubPopulation(members=tuple(range(8, 16)), period=2))
    fitness = {member: 100.0 - member for member in range(8)} | {8: 101.0, 9: 95.5} | {m: 50.0 - m for m in range(10, 16)}
    order = sorted(fitness, key=fitness.__getitem__, reverse=True)
    copies = evolve(populations, populations[:1], order, fitness)
    assert copies == {
        4: Copy(weights=8, hypers=8, explore=False),  # 96 meets 101
        5: Copy(weights=9, hypers=9, explore=False),  # 95 meets 95.5, since 101 is taken
        6: clone(0),
        7: clone(1),
    }


def test_equal_members_copy_nothing() -> None:
    assert decisions([1.0] * 8) == {}


def test_a_failure_is_replaced_whether_its_sub_population_decides_or_not() -> None:
    assert decisions([8, 7, None, 5, 4, None, None, 1], ()) == {2: clone(0), 5: clone(4), 6: clone(4)}
    assert decisions([None] * 4 + [4, 3, 2, 1], ()) == {member: clone(4) for member in range(4)}, "the best of the others"
    assert decisions([None] * 8) == {}


@pytest.mark.parametrize(
    ("population", "generations", "series"),
    [
        (8, 10, [1, 3]),
        (12, 10, [1, 2, 3]),
        (16, 10, [1, 2, 3, 4]),
        (24, 40, [1, 2, 6]),
        (32, 1000, [1, 3, 10, 32]),
        (16, 4, [1, 2]),
    ],
)
def test_periods_grow_geometrically_and_each_comes_round_within_the_plan(
    population: int, generations: int, series: list[int]
) -> None:
    found = sub_populations(Plan(population=population, budget_per_member=generations, interval=1))
    assert [p.period for p in found] == series and len({len(p.members) for p in found}) == 1
    assert [member for p in found for member in p.members] == list(range(population))
    assert len(found[0].members) % 4 == 0 and found[-1].period < generations
    assert periods(4, 999) == [1, 3, 10, 32]


@pytest.mark.parametrize(
    ("population", "generations", "says"),
    [(6, 10, "^population .* 6$"), (20, 10, "^population .* 20$"), (8, 2, "^interval .* 3 gen"), (12, 3, "^interval .* 4 gen")],
)
def test_plans_that_cannot_be(population: int, generations: int, says: str) -> None:
    with pytest.raises(BadSetting, match=says) as error:
        sub_populations(Plan(population=population, budget_per_member=generations, interval=1))
    assert "\n" not in str(error.value)


def test_each_sub_population_decides_when_its_period_comes_round() -> None:
    space = Space.parse({"lr": "log:1e-5:1e-2"})
    plan = Plan(population=8, budget_per_member=1000, interval=100)
    method = MFPBT(Problem(space=space, plan=plan, root_seed=0), ExploringOptions())
    copied: dict[int, list[int]] = {}
    while proposals := method.ask():
        for p in proposals:
            if p.hypers_from is not None:
                copied.setdefault(p.generation, []).append(p.member)
            method.tell(Result(proposal=p.id, fitness=float(8 - p.member), cost=Cost(train_units=p.units)))
    assert copied == {g: [3, 6, 7] if g % 3 == 0 else [3] for g in range(1, 10)}
