"""Descent and curves on a family small enough to check by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_pbt.records import TRAINING_SCORE, Cost, Proposal, Result, Trial
from rl_pbt.report.parallelism import parallelism
from rl_pbt.store.curves import ancestor_curve, best_fitness_curve, standings
from rl_pbt.store.descent import copies, founders, line_of_descent, surviving, survivors
from rl_pbt.store.events import Finished, Proposed
from rl_pbt.store.history import History, Pending, Reader, with_reevaluations


def trial(id: int, member: int, generation: int, parent: int | None, fitness: float | None, age: int) -> Trial:
    return Trial(
        asked_after=2 * generation,
        proposal=Proposal(id=id, member=member, generation=generation, hypers={"h": 0.5}, parent=parent, units=10),
        result=Result(
            proposal=id,
            fitness=fitness,
            failure="diverged" if fitness is None else None,
            cost=Cost(train_units=10, eval_units=id),
            lineage_units=age,
        ),
    )


# Member 1 copies member 0 (proposal 0 -> 3) and wins; member 0 then fails and starts again with fresh weights.
FAMILY = (
    trial(0, 0, 0, None, 5.0, 10),
    trial(1, 1, 0, None, 1.0, 10),
    trial(2, 0, 1, 0, None, 20),
    trial(3, 1, 1, 0, 7.0, 20),
    trial(4, 0, 2, None, 2.0, 10),
    trial(5, 1, 2, 3, 6.0, 30),
)


def test_descent_walks_through_the_copy() -> None:
    history = History(trials=FAMILY)
    assert line_of_descent(history, 5) == [0, 3, 5]
    assert ancestor_curve(history, 5) == [(10, 5.0), (20, 7.0), (30, 6.0)]
    assert [founders(History(trials=FAMILY[:known])) for known in (2, 4, 6)] == [2, 1, 2]
    assert (survivors(history), surviving(history), copies(history)) == ([4, 5], {0, 3, 4, 5}, {3})
    with pytest.raises(KeyError):
        line_of_descent(history, 99)


def test_best_fitness_counts_all_units_and_whole_generations() -> None:
    assert best_fitness_curve(History(trials=FAMILY)) == [(21, 5.0), (46, 7.0), (75, 6.0)]
    going_on = History(trials=FAMILY[:-1], pending=(Pending(proposal=FAMILY[-1].proposal, asked_after=4),))
    assert best_fitness_curve(going_on) == [(21, 5.0), (46, 7.0)]
    both_pending = tuple(Pending(proposal=one.proposal, asked_after=4) for one in FAMILY[-2:])
    assert best_fitness_curve(History(trials=FAMILY[:-2], pending=both_pending)) == [(21, 5.0), (46, 7.0)]
    begun = History(pending=(Pending(proposal=FAMILY[0].proposal, asked_after=0),))
    assert begun.rounds == [] and best_fitness_curve(begun) == []
    all_failed = History(trials=(*FAMILY[:3], trial(3, 1, 1, 1, None, 20)))
    assert best_fitness_curve(all_failed) == [(21, 5.0)]
    assert best_fitness_curve(History()) == []


def test_of_whom_nobody_needed_to_know_training_episodes_are_shown() -> None:
    unevaluated = tuple(
        replace(
            one,
            proposal=replace(one.proposal, episodes=0),
            result=replace(one.result, fitness=None, metrics={TRAINING_SCORE: float(one.result.proposal)}, foreseen_units=7),
        )
        for one in FAMILY[:2]
    )
    silent = replace(unevaluated[1], result=replace(unevaluated[1].result, metrics={}))
    history = History(trials=(*unevaluated, *FAMILY[2:]))
    assert history.by_training and not History(trials=FAMILY).by_training and not History(trials=(silent,)).by_training
    assert best_fitness_curve(history) == [(21, 1.0), (46, 7.0), (75, 6.0)]
    assert best_fitness_curve(History(trials=(unevaluated[0], silent))) == [(21, 0.0)]
    assert ancestor_curve(history, 5) == [(10, 0.0), (20, 7.0), (30, 6.0)]
    with pytest.raises(ValueError, match="result 0 was not judged"):
        _ = unevaluated[0].result.rank_key


def test_a_ledger_has_no_result_without_a_fitness_that_was_asked_for() -> None:
    proposal = Proposal(id=0, member=0, generation=0, hypers={"h": 0.5}, parent=None, units=10)
    result = Result(proposal=0, fitness=None)
    for episodes in (0, None):
        reader = Reader()
        reader.take(Proposed(proposal=replace(proposal, episodes=episodes)))
        if episodes is None:
            with pytest.raises(ValueError, match="neither a fitness nor a failure"):
                reader.take(Finished(result=result, time=0.0))
        else:
            reader.take(Finished(result=result, time=0.0))


@given(st.lists(st.tuples(st.integers(0, 3), st.none() | st.integers(-5, 5).map(float)), min_size=1, max_size=24))
def test_how_the_population_stands_is_what_numpy_says_of_the_newest_fitness_of_each_member(
    told: list[tuple[int, float | None]],
) -> None:
    trials = [trial(id, member, 0, None, fitness, 10) for id, (member, fitness) in enumerate(told)]
    history = History(trials=tuple(replace(one, asked_after=2 * (place // 2)) for place, one in enumerate(trials)))
    newest: dict[int, float | None] = {}
    expected = []
    for known, (member, fitness) in enumerate(told, start=1):
        newest[member] = fitness
        if (known % 2 == 0 or known == len(told)) and (healthy := [value for value in newest.values() if value is not None]):
            expected.append([*np.quantile(healthy, [1, 0.75, 0.5, 0.25])])
    stand = [[one.best, one.upper, one.median, one.lower] for one in standings(history)]
    assert np.shape(stand) == np.shape(expected) and np.allclose(stand, expected, rtol=1e-12)


def test_what_had_to_wait_and_what_was_thrown_away() -> None:
    """Costs are 10 units and the id. Of the last generation, the second had to wait for 3 before, and 10 + 5 are its own."""
    whole = parallelism(History(trials=FAMILY))
    assert (whole.sequential_depth, whole.sequential_units) == (3, 11 + 13 + 15)
    assert (whole.peak, whole.discarded_units) == (2, 20)
    one_by_one = parallelism(History(trials=tuple(replace(t, asked_after=n) for n, t in enumerate(FAMILY))))
    assert (one_by_one.sequential_depth, one_by_one.sequential_units, one_by_one.peak) == (6, 75, 1)
    at_once = parallelism(History(trials=tuple(replace(t, asked_after=0) for t in FAMILY)))
    assert (at_once.sequential_depth, at_once.sequential_units, at_once.peak) == (1, 15, 6)
    # Without a barrier: 2 and 3 are asked for when 0 and 1 are told, one after the other.
    staggered = parallelism(
        History(trials=tuple(replace(t, asked_after=a) for t, a in zip(FAMILY, (0, 0, 1, 2, 3, 4), strict=True)))
    )
    assert (staggered.sequential_depth, staggered.sequential_units, staggered.peak) == (3, 39, 2)
    assert parallelism(History()).sequential_depth == 0


def test_the_winner_is_judged_by_all_its_episodes() -> None:
    def with_returns(one: Trial, *returns: float, **proposal: int) -> Trial:
        fitness = sum(returns) / len(returns)
        id_ = proposal.get("id", one.proposal.id)
        return Trial(
            proposal=replace(one.proposal, **proposal), result=replace(one.result, proposal=id_, returns=returns, fitness=fitness)
        )

    first = with_returns(FAMILY[5], 8.0, 4.0)
    again = with_returns(FAMILY[5], 1.0, 2.0, 0.0, id=6, parent=5, units=0)
    other = with_returns(FAMILY[5], 9.0, id=7, parent=4, units=0)
    history = History(trials=(*FAMILY[:5], first), reevaluations=(again, other))
    assert with_reevaluations(history, 5).returns == (8.0, 4.0, 1.0, 2.0, 0.0) and with_reevaluations(history, 5).fitness == 3.0
    assert (
        with_reevaluations(history, 5).proposal == 5 and with_reevaluations(replace(history, reevaluations=()), 5) == first.result
    )
    assert history.cost.units == sum(t.result.cost.units for t in (*FAMILY, again, other))
    failed = Trial(proposal=again.proposal, result=replace(again.result, fitness=None, failure="broke"))
    assert with_reevaluations(replace(history, reevaluations=(failed,)), 5) == first.result
