"""Grid search: which points there are, and that each is held and judged after every interval."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import pytest

from rl_pbt.errors import BadSetting
from rl_pbt.records import Cost, Proposal, Result
from rl_pbt.search import METHODS, Plan, Problem
from rl_pbt.search.grid import GridOptions, even_counts, points_of, values_of
from rl_pbt.space import Space

SPACE = Space.parse({"lr": "log:1e-4:1e-1", "discount": "horizon:0.9:0.999", "batch": "int:1:4", "kind": "choice:a:b:c"})


def test_points_are_equally_far_apart_on_the_scale_of_their_range_ends_included() -> None:
    assert values_of(SPACE.dimensions["lr"], 4) == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1])
    assert values_of(SPACE.dimensions["discount"], 3) == pytest.approx([0.9, 0.99, 0.999])
    assert values_of(SPACE.dimensions["batch"], 4) == [1, 2, 3, 4] and values_of(SPACE.dimensions["kind"], 2) == ["a", "c"]
    assert values_of(SPACE.dimensions["lr"], 1) == pytest.approx([10**-2.5])


def test_every_combination_is_a_point_and_ranges_that_are_not_named_have_one() -> None:
    points = points_of(SPACE, {"lr": 4, "kind": 3})
    assert len(points) == 12 and all(point["batch"] == 2 for point in points)
    assert {(point["lr"], point["kind"]) for point in points} == set(product(values_of(SPACE.dimensions["lr"], 4), "abc"))


@pytest.mark.parametrize("population", [2, 3, 4, 6, 8, 12, 16, 30, 31, 64])
def test_any_population_is_cut_as_evenly_as_its_factors_allow(population: int) -> None:
    counts = even_counts(SPACE, population)
    assert prod(counts.values()) == population and counts["kind"] <= 3 and counts["batch"] <= 4
    assert len({str(point) for point in points_of(SPACE, counts)}) == population
    assert population != 16 or sorted(counts.values()) == [2, 2, 2, 2]


@pytest.mark.parametrize(
    ("points", "says"),
    [
        ({"lr": 0}, "^grid_points must be 1 or more each, but lr has 0$"),
        ({"lr": 3, "kind": 2}, "^grid_points make 6, a member each: the population must be that, but is 8$"),
        ({"rl": 8}, "^grid_points cannot cut rl, which is not searched: known are batch, discount, kind, lr$"),
        ({"kind": 4, "lr": 2}, "^grid_points cannot cut kind into 4: it has fewer values$"),
    ],
)
def test_grids_that_cannot_be(points: dict[str, Any], says: str) -> None:
    plan = Plan(population=8, budget_per_member=100, interval=10)
    with pytest.raises(BadSetting, match=says):
        METHODS["grid"].make(Problem(space=SPACE, plan=plan, root_seed=0), GridOptions(grid_points=points))


def test_a_space_without_so_many_values_is_refused() -> None:
    with pytest.raises(BadSetting, match="these ranges have no grid of 10 points"):
        even_counts(Space.parse({"kind": "choice:a:b:c"}), 10)


def test_members_hold_their_points_and_are_judged_after_every_interval() -> None:
    plan = Plan(population=6, budget_per_member=100, interval=20)
    method = METHODS["grid"].make(Problem(space=SPACE, plan=plan, root_seed=0), GridOptions())
    trained: list[Proposal] = []
    while proposals := method.ask():
        trained += [proposal for proposal in proposals if proposal.trains]
        for proposal in proposals:
            failed = proposal.member == 2 and proposal.generation == 1
            result = {"fitness": None, "failure": "diverged"} if failed else {"fitness": float(proposal.member)}
            method.tell(Result(proposal=proposal.id, cost=Cost(train_units=proposal.units), **result))  # type: ignore[arg-type]
    by_member = {member: [p for p in trained if p.member == member] for member in range(6)}
    assert [len(by_member[member]) for member in range(6)] == [5, 5, 2, 5, 5, 5], "one that failed stays failed"
    assert all(p.hypers == several[0].hypers and p.hypers_from is None for several in by_member.values() for p in several)
    assert len({str(several[0].hypers) for several in by_member.values()}) == 6
