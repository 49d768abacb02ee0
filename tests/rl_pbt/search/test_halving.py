"""Who trains on and for how long, against the papers' rules and on an objective that improves with training."""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from rl_pbt.errors import BadSetting
from rl_pbt.records import Cost, Proposal, Result
from rl_pbt.report.statistics import difference_of
from rl_pbt.search import METHODS, NoOptions, Plan, Problem
from rl_pbt.search.asha import ASHA
from rl_pbt.search.base import Bookkeeping
from rl_pbt.search.halving import Halving, Rung, resources
from rl_pbt.search.hyperband import Hyperband, bracket_sizes
from rl_pbt.space import Space

SPACE = Space.parse({"lr": "log:1e-5:1e-1", "entropy": "log:1e-4:1e-1"})
PLAN = Plan(population=4, budget_per_member=90, interval=10)  # rungs end at 10, 30 and 90
Judge = Callable[[Proposal, int], float | None]  # of a proposal and of its age


def problem(plan: Plan = PLAN, root: int = 0) -> Problem:
    return Problem(space=SPACE, plan=plan, root_seed=root)


def result(id_: int, fitness: float | None, units: int = 0, eval_units: int = 0) -> Result:
    return Result(
        proposal=id_,
        fitness=fitness,
        failure="diverged" if fitness is None else None,
        returns=() if fitness is None else (fitness,),
        cost=Cost(train_units=units, eval_units=eval_units),
    )


def play(method: Bookkeeping, judge: Judge, eval_units: int = 0, together: int = 1) -> list[list[Proposal]]:
    """What was asked for, ask by ask; the oldest of what is underway is told."""
    asks: list[list[Proposal]] = []
    underway: list[Proposal] = []
    ages: dict[int | None, int] = {None: 0}
    while True:
        asks.append(method.ask())
        underway += asks[-1]
        if not underway:
            return asks
        for p in underway[:together]:
            ages[p.id] = ages[p.parent] + p.units
            method.tell(result(p.id, judge(p, ages[p.id]), p.units, eval_units))
        del underway[:together]


def by_lr(proposal: Proposal, age: int) -> float:
    return float(proposal.hypers["lr"])


def lives(asks: list[list[Proposal]]) -> dict[int, list[Proposal]]:
    """Each trial's proposals that trained."""
    seen = [p for asked in asks for p in asked if p.trains]
    return {trial: [p for p in seen if p.member == trial] for trial in sorted({p.member for p in seen})}


@pytest.mark.parametrize(
    ("units", "interval", "quantum", "ends"),
    [
        (81, 1, 1, [1, 3, 9, 27, 81]),
        (81, 2, 1, [3, 9, 27, 81]),  # a rung of one unit would be shorter than an interval
        (90, 30, 1, [30, 90]),
        (1000, 100, 64, [64, 320, 960]),  # whole quanta
    ],
)
def test_rungs_end_at_thirds_of_the_whole_and_last_an_interval(units: int, interval: int, quantum: int, ends: list[int]) -> None:
    assert resources(Plan(population=2, budget_per_member=units, interval=interval, quantum=quantum)) == ends


@pytest.mark.parametrize("name", ["asha", "hyperband"])
def test_a_training_that_cannot_be_cut_is_refused(name: str) -> None:
    with pytest.raises(BadSetting, match=r"^interval must be a third of the budget, 90, or less .*, but is 31$"):
        METHODS[name].make(problem(Plan(population=4, budget_per_member=90, interval=31)), NoOptions())


def test_brackets_are_those_of_the_hyperband_paper() -> None:
    """Li 2017, Table 1: R = 81, eta = 3."""
    assert bracket_sizes(5) == [[81, 27, 9, 3, 1], [34, 11, 3, 1], [15, 5, 1], [8, 2], [5]]


def test_a_rung_promotes_the_top_third_of_all_that_were_there_once_each_and_never_a_failure() -> None:
    rung = Rung(10)
    rung.enter(0, result(0, 1.0), draw=0.5)
    rung.enter(1, result(1, 3.0), draw=0.5)
    assert rung.promotable() is None, "a third of two is none"
    rung.enter(2, result(2, 2.0), draw=0.5)
    assert rung.promotable() == 1
    rung.leave(1)
    assert rung.promotable() is None and rung.waiting() == [2, 0]
    for trial, fitness in ((3, None), (4, 9.0), (5, 3.0)):
        rung.enter(trial, result(trial, fitness), draw=0.1)
    assert rung.promotable() == 4, "of six, two: trials 4 and 5, which the draw puts before its equal, 1"
    rung.leave(4)
    assert rung.promotable() == 5
    failed = Rung(10)
    for trial in range(9):
        failed.enter(trial, result(trial, None), draw=0.1)
    assert failed.promotable() is None and failed.waiting() == []


def test_asha_promotes_as_soon_as_a_third_allows_it_and_otherwise_begins_a_trial() -> None:
    """Li 2020, Algorithm 2, with two workers; each trial is worse than those before."""
    method = ASHA(problem(Plan(population=2, budget_per_member=8100, interval=100)))
    underway = method.ask()
    order = []
    for _ in range(16):
        told = underway.pop(0)
        method.tell(result(told.id, -told.member, told.units))
        underway += method.ask()
        order.append((underway[-1].member, underway[-1].generation))
    assert order == [
        *((2, 0), (3, 0), (0, 1)),  # the best of 0, 1 and 2
        *((4, 0), (5, 0), (6, 0), (1, 1)),  # of six, a second
        *((7, 0), (8, 0), (9, 0), (2, 1), (10, 0)),  # of nine, a third,
        *((0, 2), (11, 0), (12, 0), (3, 1)),  # so the second rung has had three too, and promotes its best
    ]


def test_asha_promotes_from_the_highest_rung_first() -> None:
    method = ASHA(problem())
    for rung, trials in ((0, (0, 1, 2)), (1, (3, 4, 5))):
        for trial in trials:
            method.rungs[rung].enter(trial, result(trial, -trial), draw=0.5)
    assert method.choose() == (3, 2)
    method.rungs[1].leave(3)
    assert method.choose() == (0, 1)
    method.rungs[0].leave(0)
    assert method.choose() == (method.new_trial, 0)


@pytest.mark.parametrize("eval_units", [0, 3])
@pytest.mark.parametrize("together", [1, 3])
def test_asha_never_waits(eval_units: int, together: int) -> None:
    """As many train as the population has members, until the budget has no room for another."""
    method = ASHA(problem(Plan(population=4, budget_per_member=2700, interval=100)))
    asks = play(method, by_lr, eval_units, together)
    working = [asked for asked in asks[1:] if asked and asked[0].trains]
    assert len(asks[0]) == 4 and len(working) > 30 / together
    assert all(len(asked) == together for asked in working[:-together])
    assert asks[1 : 1 + len(working)] == working, "it asked each time that something was told"


@pytest.mark.parametrize("make", [ASHA, Hyperband])
@pytest.mark.parametrize("eval_units", [0, 2])
def test_trials_train_on_from_their_own_checkpoints_rung_by_rung(make: type[Halving], eval_units: int) -> None:
    method = make(problem(Plan(population=6, budget_per_member=900, interval=100)))
    cut = 0
    of_trials = lives(play(method, by_lr, eval_units))
    for trial, life in of_trials.items():
        assert life[0].parent is None and life[0].hypers == method.initial_hypers(trial)
        assert [p.generation for p in life] == list(range(len(life)))
        assert all(p.parent == before.id and p.hypers == before.hypers for before, p in pairwise(life))
        ages = [sum(p.units for p in life[: i + 1]) for i in range(len(life))]
        cut += ages[-1] not in (100, 300, 900)
        assert set(ages[:-1]) <= {100, 300}
    assert cut <= 1, "the budget cuts one short at most"
    assert any(len(life) == 3 for life in of_trials.values())


def test_hyperband_ends_a_rung_before_it_promotes_the_best_third() -> None:
    asks = play(Hyperband(problem(Plan(population=12, budget_per_member=90, interval=10))), by_lr)
    waves = [asked for asked in asks if asked]
    assert [len(wave) for wave in waves[:7]] == [9, 3, 1, 5, 1, 3, 9]  # brackets of 9, 5 and 3, and again
    assert [{p.units for p in wave} for wave in waves[:7]] == [{10}, {20}, {60}, {30}, {60}, {90}, {10}]
    lr = {p.member: by_lr(p, 0) for wave in waves for p in wave}
    best = sorted(range(9), key=lr.__getitem__, reverse=True)
    assert {p.member for p in waves[1]} == set(best[:3]) and [p.member for p in waves[2]] == best[:1]


def test_hyperband_begins_its_last_bracket_with_as_many_trials_as_can_be_paid_for() -> None:
    """Of 180 units in all 210 would be needed for nine trials, of which three and one train on."""
    of_trials = lives(play(Hyperband(problem(Plan(population=2, budget_per_member=90, interval=10))), by_lr))
    begun = [trial for trial, life in of_trials.items() if life[0].units == 10]
    lengths = sorted(sum(p.units for p in life) for life in of_trials.values())
    assert len(begun) == 8 and lengths[-2:] == [30, 90] and sum(lengths) == 180


def test_hyperband_begins_with_no_more_trials_than_others_while_it_does_not_know_what_judging_costs() -> None:
    """Then the bracket is as large as can be paid for: judged for 12 units and more, nine trials would overrun it."""
    method = Hyperband(problem(Plan(population=6, budget_per_member=90, interval=10)))
    asks = [asked for asked in play(method, by_lr, eval_units=12, together=6) if asked]
    assert [len(asked) for asked in asks[:4]] == [6, 2, 2, 1]
    assert [asked[0].units for asked in asks[:4]] == [10, 10, 20, 60]


@pytest.mark.parametrize("make", [ASHA, Hyperband])
def test_failures_are_replaced_by_new_trials_until_the_budget_is_spent(make: type[Halving]) -> None:
    asks = play(make(problem()), lambda p, age: None)
    assert sum(p.units for asked in asks for p in asked) == PLAN.total
    assert all(p.generation == 0 for asked in asks for p in asked)


@pytest.mark.parametrize("make", [ASHA, Hyperband])
def test_the_winner_has_trained_for_as_long_as_any_however_lucky_the_others_were(make: type[Halving]) -> None:
    method = make(problem())
    asks = play(method, lambda p, age: -float(age) + by_lr(p, age), eval_units=1)
    seen = {p.id: p for asked in asks for p in asked}
    assert sum(p.units for p in lives(asks)[seen[method.winner() or 0].member]) == PLAN.budget_per_member
    judged_again = {p.member for p in seen.values() if not p.trains}
    assert all(sum(p.units for p in lives(asks)[trial]) == PLAN.budget_per_member for trial in judged_again)
    assert {*method.fitness} == {*method.results} > {*method.contenders()} >= judged_again, "fitness is that of all trials"


@pytest.mark.parametrize("make", [ASHA, Hyperband])
@pytest.mark.parametrize("eval_units", [0, 7, 60])
@pytest.mark.parametrize(("population", "units", "interval", "quantum"), [(2, 900, 10, 1), (16, 900, 300, 20), (40, 900, 45, 16)])
def test_budget_of_other_plans(
    make: type[Halving], eval_units: int, population: int, units: int, interval: int, quantum: int
) -> None:
    plan = Plan(population=population, budget_per_member=units, interval=interval, quantum=quantum)
    asks = play(make(problem(plan)), by_lr, eval_units, together=2)
    spent = sum(p.units + eval_units for asked in asks for p in asked)
    left = max(eval_units, quantum) + 0.002 * plan.total  # an episode, which is a whole evaluation here, or a quantum
    assert plan.total - left <= spent <= plan.total
    assert all(p.units % quantum == 0 for asked in asks for p in asked)


@pytest.mark.parametrize("make", [ASHA, Hyperband])
@pytest.mark.parametrize("together", [1, 2, 4])
@pytest.mark.parametrize("population", [2, 4, 16])
def test_budget_where_the_trained_play_for_longer(make: type[Halving], together: int, population: int) -> None:
    """As on CartPole: judging a trial takes a quarter of the units that it was trained for."""
    plan = Plan(population=population, budget_per_member=6000, interval=500)
    method, spent, underway = make(problem(plan)), 0, list[Proposal]()
    ages: dict[int | None, int] = {None: 0}
    while underway := underway + method.ask():
        for p in underway[:together]:
            ages[p.id] = ages[p.parent] + p.units
            eval_units = ages[p.id] // 4 * (p.episodes or 10) // 10
            told = Result(proposal=p.id, fitness=by_lr(p, 0), returns=(by_lr(p, 0),) * (p.episodes or 10))
            method.tell(replace(told, cost=Cost(train_units=p.units, eval_units=eval_units)))
            spent += p.units + eval_units
        del underway[:together]
    assert 0.98 * plan.total < spent <= plan.total  # an episode of the best takes more than 1 % of the least


def improving(proposal: Proposal, age: int) -> float:
    """Towards a height that depends on both hypers, the sooner the higher the learning rate."""
    lr, entropy = (math.log10(float(proposal.hypers[name])) for name in ("lr", "entropy"))
    height = math.exp(-((lr + 2.5) ** 2) - (entropy + 2.5) ** 2)
    return height * (1.0 - math.exp(-age / 300.0 * (lr + 6.0) / 2.0))


def winners_value(name: str, root: int) -> float:
    plan = Plan(population=16, budget_per_member=1000, interval=30)
    method = METHODS[name].make(problem(plan, root), NoOptions())
    assert isinstance(method, Bookkeeping)
    asks = play(method, improving, together=2)
    winner = method.winner()
    assert winner is not None
    life = lives(asks)[next(p.member for asked in asks for p in asked if p.id == winner)]
    return improving(life[0], sum(p.units for p in life))


@pytest.mark.parametrize("name", ["asha", "hyperband"])
def test_halving_beats_random_search_where_little_training_tells_what_much_will_give(name: str) -> None:
    values = {method: [[winners_value(method, root)] for root in range(20)] for method in (name, "random")}
    gain = difference_of(values[name], values["random"])
    assert gain.interval is not None and gain.interval[0] > 0
