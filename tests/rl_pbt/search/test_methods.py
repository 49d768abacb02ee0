"""What every registered method must do, on made-up fitness in microseconds."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from rl_pbt.errors import BadSetting, UserError
from rl_pbt.options import fields_of
from rl_pbt.records import Cost, Hypers, Proposal, Result
from rl_pbt.search import METHODS, Method, Plan, Problem
from rl_pbt.space import Choice, Integer, Space
from rl_pbt.tasks.on_environments.episodes import foreseen_steps

SPACE = Space.parse({"lr": "log:1e-5:1e-2", "units": "int:1:9", "discount": "horizon:0.9:0.999", "eps": "choice:0.1:0.01"})
PLAN = Plan(population=6, budget_per_member=1000, interval=100)
POPULATION = {"mf-pbt": 8}  # where a method needs another one
PUBLISHED: Hypers = {"lr": 7e-4, "units": 5, "discount": 0.99, "eps": 0.01}
STAGES = [{"units": units, "hypers": {**PUBLISHED, "lr": lr}} for units, lr in ((300, 1e-3), (100, 2e-3), (100, 3e-3))]
REPLAYING = [name for name, entry in METHODS.items() if entry.replays]
REPLAY = {"members": 6, "seeds": {"0": dict.fromkeys(REPLAYING, STAGES)}}
ANNEALED = ("random-annealed", "default-annealed")  # whose learning rate falls below its range
SCHEDULED = (*ANNEALED, "default-warmup")
BY_NO_DRAW = (
    "hand-tuned",
    "default-annealed",
    "default-warmup",
    "grid",
    *REPLAYING,
)  # are the hyperparameters that members begin with
JUDGED_AT_THE_END = ("random", "hand-tuned", *SCHEDULED, *REPLAYING)
SYNCHRONOUS = [
    *REPLAYING,
    *("pbt", "pbt-ttest", "pbt-tournament", "pbt-impala", "weights-only", "hypers-only", "explore-only", "exploit-only"),
    *("random", "grid", "hand-tuned", *SCHEDULED, "pb2", "mf-pbt", "gpbt-pl"),
]
OF_UNEQUAL_AGE = ("asha", "hyperband")
Judge = Callable[[Proposal], float | None]


def plan_of(name: str) -> Plan:
    return replace(PLAN, population=POPULATION.get(name, PLAN.population))


def make(name: str, root: int = 0, space: Space = SPACE, **options: float) -> Method:
    """`options` are those of the method; what it replays, and what it anneals, is added where it does that."""
    entry = METHODS[name]
    problem = Problem(space=space, plan=plan_of(name), root_seed=root, published=PUBLISHED)
    own = {one: value for one, value in {"replay": REPLAY, "annealed": "lr"}.items() if one in fields_of(entry.options)} | options
    try:
        return entry.make(problem, entry.options(**own))
    except UserError as error:
        if "which is not installed" in str(error):
            pytest.skip(str(error))
        raise


def outcome(proposal: Proposal, fitness: float | None, eval_units: int = 8) -> Result:
    """`eval_units` of two episodes; half as many for one. One that is not judged says what that would have cost."""
    failure = None if fitness is not None else "diverged"
    if not proposal.evaluates:
        foreseen = 0 if failure else eval_units
        cost = Cost(train_units=proposal.units)
        return Result(proposal=proposal.id, fitness=None, failure=failure, cost=cost, foreseen_units=foreseen)
    return Result(
        proposal=proposal.id,
        fitness=fitness,
        failure=failure,
        returns=() if fitness is None else (fitness,) * (proposal.episodes or 2),
        cost=Cost(train_units=proposal.units, eval_units=eval_units * (proposal.episodes or 2) // 2),
    )


def play(method: Method, judge: Judge, eval_units: Callable[[Proposal], int] = lambda _: 8, together: int = 2) -> list[Proposal]:
    """As the controller does: `together` proposals are told, in the order in which they were asked for; then it asks for more."""
    seen: list[Proposal] = []
    underway: list[Proposal] = []
    while True:
        asked = method.ask()
        seen += asked
        underway += asked
        if not underway:
            return seen
        for proposal in reversed(underway[:together]):  # by id, never by order
            method.tell(outcome(proposal, judge(proposal), eval_units(proposal)))
        del underway[:together]


def by_lr(proposal: Proposal) -> float:
    return -abs(float(proposal.hypers["lr"]) - 1e-3)


JUDGES: dict[str, Judge] = {
    "by lr": by_lr,
    "constant": lambda _: 1.0,
    "all fail": lambda _: None,
    "some fail": lambda p: None if p.id % 3 == 0 else by_lr(p),
}


@pytest.mark.parametrize("judge", JUDGES.values(), ids=JUDGES.keys())
@pytest.mark.parametrize("name", METHODS)
def test_contract(name: str, judge: Judge) -> None:
    seen = play(make(name), judge)
    finished = {p.id: p for p in seen}
    assert [p.id for p in seen] == list(range(len(seen)))
    for proposal in seen:
        assert set(proposal.hypers) == set(SPACE.dimensions)
        for dimension, value in zip(SPACE.dimensions.values(), proposal.hypers.values(), strict=True):
            if isinstance(dimension, Choice):
                assert value in dimension.choices
            else:
                assert (0 if name in SCHEDULED else dimension.extremes[0]) <= value <= dimension.extremes[1]
        parent = None if proposal.parent is None else finished[proposal.parent]
        if parent is not None:
            assert judge(parent) is not None, "a failure has no checkpoint to start from"
            assert parent.id < proposal.id
        if not proposal.trains:
            assert parent is not None
            assert (parent.member, parent.hypers) == (proposal.member, proposal.hypers) and proposal.hypers_from is None
            assert all(later.member != parent.member for later in seen[parent.id + 1 :] if later.trains)
    assert len({(p.member, p.generation) for p in seen}) == len(seen), "they name the random streams"
    units = sum(p.units for p in seen)
    assert units <= plan_of(name).total


@pytest.mark.parametrize("name", METHODS)
def test_same_seed_same_proposals_other_seed_others(name: str) -> None:
    assert play(make(name, 1), by_lr) == play(make(name, 1), by_lr)
    if name not in BY_NO_DRAW:  # whose random streams alone differ
        assert play(make(name, 1), by_lr) != play(make(name, 2), by_lr)


COSTS: dict[str, Callable[[Proposal], int]] = {
    "fixed": lambda _: 8,
    "none": lambda _: 0,
    "varying": lambda p: 6 + 2 * ((p.generation + p.member) % 3),
}


@pytest.mark.parametrize("cost", COSTS.values(), ids=COSTS.keys())
@pytest.mark.parametrize("together", [1, 3, 6])
@pytest.mark.parametrize("judge", [by_lr, lambda p: None if p.member == 0 else by_lr(p)], ids=["healthy", "one fails"])
@pytest.mark.parametrize("name", METHODS)
def test_the_budget_is_spent_and_never_overspent(name: str, judge: Judge, together: int, cost: Callable[[Proposal], int]) -> None:
    seen = play(make(name), judge, cost, together)
    spent = sum(outcome(p, 0.0, cost(p)).cost.units for p in seen)
    assert 0.99 * plan_of(name).total <= spent <= plan_of(name).total


@pytest.mark.parametrize("name", METHODS)
def test_where_judging_is_free_the_whole_budget_is_trained_for_and_nobody_is_judged_again(name: str) -> None:
    for judge in (by_lr, lambda p: None if p.member == 0 and p.generation > 0 else by_lr(p)):
        seen = play(make(name), judge, COSTS["none"])
        assert all(p.trains for p in seen)
        assert sum(p.units for p in seen) == plan_of(name).total


WORDS = Space.parse({"torso": "choice:nature:impala:mlp", "layers": "int:1:4", "batch": "int:8:64"})


@pytest.mark.parametrize("name", [name for name in METHODS if name not in (*BY_NO_DRAW, *ANNEALED)])
def test_words_and_whole_numbers_are_searched_as_such(name: str) -> None:
    seen = play(make(name, space=WORDS), lambda p: float(p.hypers["layers"]) + (p.hypers["torso"] == "impala"))
    for dimension in ("torso", "layers", "batch"):
        kind, values = WORDS.dimensions[dimension], [p.hypers[dimension] for p in seen]
        assert len(set(values)) > 1
        if isinstance(kind, Integer):
            assert all(type(value) is int and kind.low <= value <= kind.high for value in values)
        else:
            assert {*values} <= {"nature", "impala", "mlp"}


@pytest.mark.parametrize("eval_units", [0, 8, 60])
@pytest.mark.parametrize("name", sorted({*SYNCHRONOUS, "pbt-async"} - {"mf-pbt"}))  # that one refuses so short a plan
def test_an_interval_as_long_as_the_budget_is_cut_in_two_and_nothing_overspent(
    name: str, eval_units: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "PLAN", replace(PLAN, interval=PLAN.budget_per_member))
    seen = play(make(name), by_lr, lambda _: eval_units)
    spent = sum(outcome(p, 0.0, eval_units).cost.units for p in seen)
    assert 0.99 * plan_of(name).total <= spent <= plan_of(name).total
    assert len({p.generation for p in seen if p.trains}) == 2


@pytest.mark.parametrize("name", SYNCHRONOUS)
def test_generations_are_ranked_at_equal_age_and_as_long_as_said(name: str) -> None:
    seen = play(make(name), by_lr, COSTS["varying"])
    lengths = [{p.units for p in seen if p.generation == generation} for generation in range(10)]
    assert all(len(of_generation) == 1 for of_generation in lengths)
    units = [of_generation.pop() for of_generation in lengths]
    assert units[0] == PLAN.interval and max(units[1:]) - min(units[1:]) < 0.1 * PLAN.interval


@pytest.mark.parametrize("name", SYNCHRONOUS)
def test_the_final_reevaluation_judges_the_best_again_and_exposes_a_lucky_winner(name: str) -> None:
    """The member that leads at the end did so by luck: judged again it is the worst, and the second best wins."""
    method, waves, last, size = make(name), [], {}, plan_of(name).population
    best_first = [3, *(place for place in reversed(range(size)) if place != 3)]
    while proposals := method.ask():
        if not proposals[0].trains:
            waves.append([p.member % size for p in proposals])
        for p in proposals:
            last[p.member] = p if p.trains else last[p.member]
            place = p.member % size
            fitness = 100.0 if p.trains and place == 3 and p.generation == 9 else -1000.0 if place == 3 else place
            method.tell(outcome(p, fitness))
    assert waves[0] == best_first[: size // 2], "the better half, best first"
    assert waves[1] == best_first[1:3][: len(waves[1])] and all(len(wave) <= 2 for wave in waves[1:])
    second = next(p.id for member, p in last.items() if member % size == size - 1)
    assert method.winner() == second and second in method.needed()


@pytest.mark.parametrize("name", [name for name in METHODS if name not in BY_NO_DRAW])
def test_all_methods_start_from_the_same_members(name: str) -> None:
    """Those that begin with fewer or more trials share as many as there are."""
    first, paired = ([p.hypers for p in make(method).ask()] for method in (name, "pbt"))
    if name in ANNEALED:  # in the middle of the first of ten intervals
        paired = [{**hypers, "lr": float(hypers["lr"]) * 0.95} for hypers in paired]
    shared = min(len(first), len(paired))
    assert first[:shared] == paired[:shared]
    assert len({str(hypers) for hypers in paired}) == PLAN.population


def test_hand_tuned_members_have_the_published_hypers() -> None:
    assert all(p.hypers == PUBLISHED for p in make("hand-tuned").ask())
    some = {name: value for name, value in PUBLISHED.items() if name not in ("lr", "units")} | {"not searched": 1.0}
    with pytest.raises(
        BadSetting, match=r"^hypers must have a value of each searched .* for hand-tuned: add lr, units$"
    ) as error:
        METHODS["hand-tuned"].make(Problem(space=SPACE, plan=PLAN, root_seed=0, published=some), METHODS["hand-tuned"].options())
    assert error.value.field == "hypers"


@pytest.mark.parametrize(
    "judge", [by_lr, lambda p: None if p.member == 2 and p.generation == 3 else by_lr(p)], ids=["all", "one"]
)
@pytest.mark.parametrize("name", METHODS)
def test_who_needs_no_fitness_is_judged_once_at_the_end(name: str, judge: Judge) -> None:
    trained = [p for p in play(make(name), judge) if p.trains]
    if name in JUDGED_AT_THE_END:
        assert {p.generation for p in trained if p.evaluates} == {9} == {p.generation for p in trained if p.generation >= 9}
    else:
        assert all(p.evaluates for p in trained)


def test_what_judging_will_cost_is_foreseen_and_kept_back() -> None:
    """Of six members with 1,000 units each, evaluation costs 60: ten times for pbt, once at the end for random search."""
    trained = {name: sum(p.units for p in play(make(name), by_lr, lambda _: 60)) for name in ("pbt", "random")}
    assert trained["random"] > 1.5 * trained["pbt"]
    for share in (0.5, 1.0, 2.0):  # by which what was foreseen is wrong
        method, spent = make("random"), 0
        while asked := method.ask():
            for p in asked:
                result = outcome(p, by_lr(p), round(60 * share) if not p.evaluates else 60)
                spent += result.cost.units
                method.tell(result)
        assert 0.99 * PLAN.total <= spent <= PLAN.total


@dataclass(frozen=True)
class Trained:
    """The training episodes of an interval: those that ended."""

    lengths: tuple[int, ...]
    returns: tuple[float, ...] = ()
    truncated: int = 0


def in_episodes(proposal: Proposal, length: int | None, longest: int | None) -> Result:
    """The result of a member with four environments whose episodes have `length` steps (None: they never end), and which is
    evaluated on two, cut after `longest` steps (None: never).
    """
    steps = proposal.units // 4
    ended = steps // length if length else 0
    foreseen = foreseen_steps(Trained((length or 0,) * 4 * ended), steps, 2, longest, copies=4)
    lasts = min(end for end in (length, longest) if end is not None)
    result = outcome(proposal, by_lr(proposal), 2 * lasts)
    return result if proposal.evaluates else replace(result, foreseen_units=foreseen)


@pytest.mark.parametrize(
    ("length", "longest"),
    [(10, None), (10, 15), (10, 60), (10, 5), (40, None), (40, 50), (None, 30), (None, 60), (None, 5), (60, 10_000)],
)
@pytest.mark.parametrize("name", METHODS)
def test_a_budget_is_kept_however_long_episodes_are(name: str, length: int | None, longest: int | None) -> None:
    """An interval of 100 units has 25 steps: some episodes end in it, some do not, and some never would."""
    method, spent = make(name), 0
    while asked := method.ask():
        for proposal in asked:
            result = in_episodes(proposal, length, longest)
            spent += result.cost.units
            method.tell(result)
    one_episode = min(end for end in (length, longest) if end is not None)
    assert 0.99 * plan_of(name).total - one_episode <= spent <= plan_of(name).total


@pytest.mark.parametrize("fails", [False, True])
def test_where_judging_takes_all_that_is_left_nobody_trains_once_more(fails: bool) -> None:
    """A member trains for 100 at least: of its 200 as many are left, 40 of them to judge it, 40 for the final re-evaluation."""
    plan = Plan(population=6, budget_per_member=200, interval=200, quantum=100)
    method = METHODS["random"].make(Problem(space=SPACE, plan=plan, root_seed=0), METHODS["random"].options())
    judge: Judge = (lambda p: None if p.member == 1 and not p.trains else by_lr(p)) if fails else by_lr
    seen = play(method, judge, lambda _: 40)
    assert not any(p.evaluates for p in seen if p.trains)
    first = next(p for p in seen if not p.trains)
    assert [p.member for p in seen if p.generation == first.generation] == list(range(6))
    healthy = [p for p in seen if p.generation == first.generation and not (fails and p.member == 1)]
    winner = next(p for p in seen if p.id == method.winner())
    assert by_lr(winner) == max(map(by_lr, healthy))
    assert all(p.member != 1 for p in seen if p.generation > first.generation) or not fails


@pytest.mark.parametrize("name", ANNEALED)
def test_an_annealed_rate_falls_linearly_to_the_middle_of_the_last_interval(name: str) -> None:
    seen = play(make(name), by_lr)
    held = make("random" if name == "random-annealed" else "hand-tuned").ask()[3].hypers
    rates = [float(p.hypers["lr"]) for p in seen if p.member == 3 and p.trains]
    assert rates == pytest.approx([float(held["lr"]) * (1 - (2 * n + 1) / 20) for n in range(10)])
    assert all({**p.hypers, "lr": held["lr"]} == held for p in seen if p.member == 3)


@pytest.mark.parametrize("name", SCHEDULED)
def test_several_rates_have_the_same_schedule(name: str) -> None:
    both = {"lr": "log:1e-5:1e-2", "other": "log:1e-4:1e-1", "third": "linear:0:1"}
    published = {"lr": 1e-3, "other": 1e-2, "third": 0.5}
    entry = METHODS[name]

    def played(annealed: str) -> list[Proposal]:
        problem = Problem(space=Space.parse(both), plan=PLAN, root_seed=0, published=published)
        return [one for one in play(entry.make(problem, entry.options(annealed=annealed)), by_lr) if one.trains]

    one, two = (
        [{name: [float(p.hypers[name]) for p in played(of) if p.member == member] for name in both} for member in range(6)]
        for of in ("lr", "lr, other")
    )
    for alone, together in zip(one, two, strict=True):
        assert together["lr"] == alone["lr"] and len(set(alone["lr"])) == 10
        assert len(set(alone["other"])) == 1
        rate, other = ([value / values[0] for value in values] for values in (together["lr"], together["other"]))
        assert other == pytest.approx(rate)
        assert together["third"] == alone["third"] and len(set(together["third"])) == 1


def test_what_is_made_by_hand_says_so() -> None:
    assert {name for name, entry in METHODS.items() if entry.made_by_hand} == set(SCHEDULED)


@pytest.mark.parametrize(("warmup", "peak"), [(0.1, 1), (0.5, 5), (1.0, 10)])
def test_a_rate_is_warmed_up_linearly_and_then_falls_with_the_root_of_the_time(warmup: float, peak: int) -> None:
    """Of ten intervals, whose middles are at 0.05, 0.15, ...; the published rate is reached where the warm-up ends."""
    seen = play(make("default-warmup", warmup=warmup), by_lr)
    rates = [float(p.hypers["lr"]) for p in seen if p.member == 3 and p.trains]
    rising = [(2 * n + 1) / 20 / warmup for n in range(peak)]
    falling = [(warmup / ((2 * n + 1) / 20)) ** 0.5 for n in range(peak, 10)]
    assert rates == pytest.approx([7e-4 * share for share in (*rising, *falling)])
    assert all({**p.hypers, "lr": 7e-4} == PUBLISHED for p in seen)


@pytest.mark.parametrize("annealed", ["learning_rate", "units", "eps", "discount"])
@pytest.mark.parametrize("name", SCHEDULED)
def test_what_cannot_fall_to_0_is_not_annealed(name: str, annealed: str) -> None:
    """What is not searched, whole numbers, choices, and a discount, whose scale is another."""
    with pytest.raises(BadSetting, match=rf"^annealed must be a searched hyperparameter .*, one of lr, but is '{annealed}'$"):
        make(name, annealed=annealed)  # type: ignore[arg-type]
    entry = METHODS["default-annealed"]
    with pytest.raises(
        BadSetting, match=r"^hypers must have a value of each searched .* for default-annealed: add discount, eps, lr"
    ):
        entry.make(Problem(space=SPACE, plan=PLAN, root_seed=0), entry.options(annealed="lr"))


@pytest.mark.parametrize("name", METHODS)
def test_tell_matches_by_id_once(name: str) -> None:
    method = make(name)
    first = method.ask()[0]
    method.tell(outcome(first, 1.0))
    for unknown in (first, Proposal(id=999, member=0, generation=0, hypers={}, parent=None, units=1)):
        with pytest.raises(KeyError, match=str(unknown.id)):
            method.tell(outcome(unknown, 1.0))


@pytest.mark.parametrize("name", METHODS)
def test_winner_is_the_fittest_at_the_end(name: str) -> None:
    method = make(name)
    seen = play(method, by_lr)
    last = {p.member: p for p in seen if p.trains}
    assert any(not p.trains for p in seen)
    trained = {member: sum(p.units for p in seen if p.member == member) for member in last}
    oldest = [p for member, p in last.items() if trained[member] > 0.95 * max(trained.values())]
    assert len(oldest) == plan_of(name).population or name in OF_UNEQUAL_AGE
    assert by_lr(seen[method.winner() or 0]) == max(map(by_lr, oldest))
    failed = make(name)
    play(failed, JUDGES["all fail"])
    assert failed.winner() is None and failed.needed() == set()


def test_pbt_losers_take_weights_and_explored_hypers_of_a_donor_and_winners_go_on_untouched() -> None:
    method = make("pbt")
    seen = play(method, by_lr)
    at = {(p.generation, p.member): p for p in seen}
    copies = 0
    for proposal in seen:
        if proposal.generation == 0 or not proposal.trains:
            continue
        own = at[proposal.generation - 1, proposal.member]
        if proposal.hypers_from is None:
            assert proposal.parent == own.id and proposal.hypers == own.hypers
            continue
        copies += 1
        donor = seen[proposal.hypers_from]
        assert proposal.parent == donor.id and by_lr(donor) > by_lr(own)
        assert float(proposal.hypers["lr"]) / float(donor.hypers["lr"]) == pytest.approx(1.2) or float(
            proposal.hypers["lr"]
        ) / float(donor.hypers["lr"]) == pytest.approx(1 / 1.2)
    assert copies > PLAN.generations


def test_pbt_does_not_evolve_during_burn_in_but_replaces_failures() -> None:
    seen = play(make("pbt", burn_in=500), by_lr)
    assert all(p.hypers_from is None for p in seen if p.generation < 5)
    assert any(p.hypers_from is not None for p in seen if p.generation == 5)
    seen = play(make("pbt", burn_in=10_000), lambda p: None if p.id == 2 else by_lr(p))
    assert [p.member for p in seen if p.hypers_from is not None] == [2]


def test_replay_follows_its_schedule_with_members_of_its_own() -> None:
    seen = [p for p in play(make("replay-schedule"), by_lr) if p.trains]
    assert {p.member for p in seen} == set(range(6, 12))
    rates = [{float(p.hypers["lr"]) for p in seen if p.generation == generation} for generation in range(10)]
    assert rates == [{1e-3}] * 6 + [{2e-3}] * 2 + [{3e-3}] * 2
    with pytest.raises(UserError, match="replay:RUN"):
        METHODS["replay-final"].make(Problem(space=SPACE, plan=PLAN, root_seed=0), METHODS["replay-final"].options())


@pytest.mark.parametrize("together", [1, 2, 3, 6])
@pytest.mark.parametrize("any_age", [False, True])
def test_asynchronous_members_copy_only_what_is_not_older_unless_told_otherwise(together: int, any_age: bool) -> None:
    """Every copied checkpoint has trained for no longer than the one that it replaces, and is still kept."""
    method = make("pbt-async", any_age=any_age)
    seen: dict[int, Proposal] = {}
    ages: dict[int | None, int] = {None: 0}
    newest: dict[int, int] = {}
    underway: list[Proposal] = []
    older = copies = waits = 0
    while True:
        kept = method.needed()
        waits += bool(underway)
        for p in method.ask():
            seen[p.id] = p
            underway.append(p)
            if p.hypers_from is not None:
                copies += 1
                older += ages[p.parent] > ages[newest[p.member]]
                assert p.parent == p.hypers_from and by_lr(seen[p.parent]) > by_lr(seen[newest[p.member]])
            assert p.parent is None or p.parent in kept
        if not underway:
            break
        for p in underway[:together]:
            ages[p.id] = ages[p.parent] + p.units
            newest[p.member] = p.id
            method.tell(replace(outcome(p, by_lr(p)), lineage_units=ages[p.id]))
        del underway[:together]
    assert copies > 5 and (waits > 10 or together == 6)
    assert older == 0 or any_age


def test_asynchronous_members_age_alike_and_nobody_waits_for_a_generation_to_end() -> None:
    seen = play(make("pbt-async"), by_lr, COSTS["varying"], together=2)
    trained = [p for p in seen if p.trains]
    assert {(p.member, p.generation) for p in trained} == {(m, g) for m in range(6) for g in range(10)}
    assert all(len({p.units for p in trained if p.generation == g}) == 1 for g in range(10))
    order = [p.generation for p in trained[6:]]
    assert order == sorted(order)
    assert play(make("pbt-async"), by_lr, together=6) != play(make("pbt-async"), by_lr, together=2)


def test_random_search_keeps_a_failure_and_gives_its_units_to_the_others() -> None:
    seen = play(make("random"), lambda p: None if p.id == 2 else by_lr(p))
    assert {p.member for p in seen if p.generation > 0} == {0, 1, 3, 4, 5}
    assert all(p.hypers == seen[p.member].hypers for p in seen)
    assert seen[-1].units == 0 and [p for p in seen if p.trains][-1].units > PLAN.interval


def test_a_population_that_fails_entirely_starts_anew() -> None:
    seen = play(make("pbt"), lambda p: None if p.generation == 0 else 1.0)
    second = [p for p in seen if p.generation == 1]
    assert all(p.parent is None for p in second) and {str(p.hypers) for p in second}.isdisjoint(
        {str(p.hypers) for p in seen if p.generation == 0}
    )


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"population": 1}, "^population must be 2 or more .*, but is 1$"),
        ({"budget_per_member": -5}, "^budget must be above 0, but is -5$"),
        ({"interval": 0}, "^interval must be above 0, but is 0$"),
        ({"interval": 2000}, "^interval must be no longer than the budget, 1000, but is 2000$"),
        ({"quantum": 200}, "^interval must be 200, .*, or more, but is 100$"),
    ],
)
def test_plans_that_cannot_be(fields: dict[str, int], says: str) -> None:
    with pytest.raises(BadSetting, match=says):
        Plan(**{"population": 6, "budget_per_member": 1000, "interval": 100} | fields)


def proposals_of_all_methods() -> str:
    """What every method that is installed asks for, in words."""
    asked = {}
    for name in METHODS:
        with contextlib.suppress(pytest.skip.Exception):
            asked[name] = [str(proposal) for proposal in play(make(name), by_lr)]
    return json.dumps(asked)


def test_another_process_asks_for_the_same() -> None:
    """Whose sets and dictionaries of words lie in another order."""
    other = subprocess.run(
        [sys.executable, "-W", "ignore", __file__],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    assert json.loads(other.stdout) == json.loads(proposals_of_all_methods())


if __name__ == "__main__":
    print(proposals_of_all_methods())
