"""What every registered method must do, on made-up fitness in microseconds."""

from collections.abc import Callable

import pytest

from rl_pbt.records import Cost, Proposal, Result, UserError
from rl_pbt.search import METHODS, PBT, Method, PBTConfig, Plan
from rl_pbt.space import Space

SPACE = Space.parse({"lr": "log:1e-5:1e-2", "units": "int:1:9", "discount": "horizon:0.9:0.999", "eps": "choice:0.1:0.01"})
PLAN = Plan(population=6, frames_per_member=1000, interval=100)
Judge = Callable[[Proposal], float | None]


def make(name: str, root: int = 0, plan: Plan = PLAN, **config: float) -> Method:
    return METHODS[name].make(SPACE, plan, root, PBTConfig(**config))  # type: ignore[arg-type]


def outcome(proposal: Proposal, fitness: float | None, eval_frames: int = 8) -> Result:
    """`eval_frames` of two episodes; half as many for one."""
    return Result(
        id=proposal.id,
        fitness=fitness,
        failure=None if fitness is not None else "diverged",
        returns=() if fitness is None else (fitness,) * (proposal.episodes or 2),
        cost=Cost(train_frames=proposal.frames, eval_frames=eval_frames * (proposal.episodes or 2) // 2),
    )


def play(method: Method, judge: Judge) -> list[Proposal]:
    seen: list[Proposal] = []
    while proposals := method.ask():
        for proposal in proposals:
            seen.append(proposal)
        for proposal in reversed(proposals):  # by id, never by order
            method.tell(outcome(proposal, judge(proposal)))
    return seen


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
            if hasattr(dimension, "low"):
                assert dimension.low <= value <= dimension.high
        if not proposal.trains:
            parent = finished[proposal.parent or 0]
            assert (parent.member, parent.hypers) == (proposal.member, proposal.hypers) and proposal.hypers_from is None
            assert parent.generation == PLAN.generations - 1 <= proposal.generation - 1
        elif proposal.parent is not None:
            assert judge(finished[proposal.parent]) is not None, "a failure has no checkpoint to start from"
            assert finished[proposal.parent].generation == proposal.generation - 1


@pytest.mark.parametrize("name", METHODS)
def test_same_seed_same_proposals_other_seed_others(name: str) -> None:
    assert play(make(name, 1), by_lr) == play(make(name, 1), by_lr)
    assert play(make(name, 1), by_lr) != play(make(name, 2), by_lr)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("judge", [by_lr, lambda p: None if p.member == 0 else by_lr(p)], ids=["healthy", "one fails"])
def test_the_budget_is_spent_and_hardly_overspent(name: str, judge: Judge) -> None:
    """Even with evaluation whose length changes from one generation to the next."""
    method, spent, lengths = make(name), 0, []
    while proposals := method.ask():
        assert len({p.frames for p in proposals}) == 1, "ranked at equal age"
        lengths.append(proposals[0].frames)
        for proposal in proposals:
            result = outcome(proposal, judge(proposal), eval_frames=6 + 2 * ((proposal.generation + proposal.member) % 3))
            spent += result.cost.frames
            method.tell(result)
    assert abs(spent - PLAN.total) <= 4, "to half an episode, and what it deviates from the last one"
    assert lengths[0] == PLAN.interval and max(lengths[1:10]) - min(lengths[1:10]) < 0.1 * PLAN.interval
    assert lengths[10:] == [0] * (len(lengths) - 10) and len(lengths) > 10


@pytest.mark.parametrize("name", METHODS)
def test_the_play_off_judges_the_best_again_and_finds_out_a_winner_by_luck(name: str) -> None:
    """The member that leads at the end did so by luck: judged again it is the worst, and the second best wins."""
    method, waves, last = make(name), [], {}
    while proposals := method.ask():
        if not proposals[0].trains:
            waves.append([p.member for p in proposals])
        for p in proposals:
            last[p.member] = p if p.trains else last[p.member]
            fitness = 100.0 if p.trains and p.member == 3 and p.generation == 9 else -1000.0 if p.member == 3 else p.member
            method.tell(outcome(p, fitness))
    assert waves[0] == [3, 5, 4], "the better half, best first"
    assert waves[1] == [5, 4] and all(len(wave) <= 2 for wave in waves[1:])
    assert method.winner() == last[5].id and method.needed() >= {last[5].id}


def test_all_methods_start_from_the_same_members() -> None:
    firsts = [make(name).ask() for name in METHODS]
    assert all(first == firsts[0] for first in firsts)
    assert len({str(p.hypers) for p in firsts[0]}) == PLAN.population


@pytest.mark.parametrize("name", METHODS)
def test_tell_matches_by_id_once(name: str) -> None:
    method = make(name)
    first = method.ask()[0]
    with pytest.raises(RuntimeError, match="before proposals"):
        method.ask()
    method.tell(outcome(first, 1.0))
    for unknown in (first, Proposal(id=999, member=0, generation=0, hypers={}, parent=None, frames=1)):
        with pytest.raises(KeyError, match=str(unknown.id)):
            method.tell(outcome(unknown, 1.0))


@pytest.mark.parametrize("name", METHODS)
def test_winner_is_the_fittest_at_the_end(name: str) -> None:
    method = make(name)
    seen = play(method, by_lr)
    last = [p for p in seen if p.generation == PLAN.generations - 1]
    assert any(not p.trains for p in seen)
    assert by_lr(seen[method.winner() or 0]) == max(map(by_lr, last))
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


def test_random_search_keeps_a_failure_and_gives_its_frames_to_the_others() -> None:
    seen = play(make("random"), lambda p: None if p.id == 2 else by_lr(p))
    assert {p.member for p in seen if p.generation > 0} == {0, 1, 3, 4, 5}
    assert all(p.hypers == seen[p.member].hypers for p in seen)
    assert seen[-1].frames == 0 and [p for p in seen if p.trains][-1].frames > PLAN.interval


def test_a_population_that_fails_entirely_starts_anew() -> None:
    seen = play(make("pbt"), lambda p: None if p.generation == 0 else 1.0)
    second = [p for p in seen if p.generation == 1]
    assert all(p.parent is None for p in second) and {str(p.hypers) for p in second}.isdisjoint(
        {str(p.hypers) for p in seen if p.generation == 0}
    )


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"population": 1}, "--population"),
        ({"frames_per_member": -5}, "above 0"),
        ({"interval": 2000}, "longer than the budget"),
        ({"quantum": 200}, "shorter than one round"),
    ],
)
def test_plans_that_cannot_be(fields: dict[str, int], says: str) -> None:
    with pytest.raises(UserError, match=says):
        Plan(**{"population": 6, "frames_per_member": 1000, "interval": 100} | fields)


@pytest.mark.parametrize("fields", [{"fraction": 0.0}, {"fraction": 0.6}, {"resample_probability": 2.0}, {"burn_in": -1}])
def test_pbt_settings_that_cannot_be(fields: dict[str, float]) -> None:
    with pytest.raises(UserError):
        PBT(space=SPACE, plan=PLAN, root_seed=0, config=PBTConfig(**fields))  # type: ignore[arg-type]
