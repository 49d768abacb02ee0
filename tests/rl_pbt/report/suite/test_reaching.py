"""Where a noisy anytime curve reaches what another method's winner has."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from rl_pbt.records import Cost, FinalTest, Proposal, Result, Trial
from rl_pbt.report.suite import MeasuredCell
from rl_pbt.report.suite.reaching import reached, share_text
from rl_pbt.report.suite.scores import Scale
from rl_pbt.store.history import History, Incumbent
from tests.rl_pbt.report.evidence import evidence_of

SEEDS = 6


def searched(scores: Sequence[float]) -> History:
    """A search of 100 units, tested at equal distances, at last at its end."""
    proposal = Proposal(id=0, member=0, generation=0, hypers={}, parent=None, units=100)
    tests = [FinalTest(proposal=0, returns=(float(score),), cost=Cost()) for score in scores]
    marks = [100 * place // len(tests) for place in range(1, len(tests))]
    return History(
        trials=(Trial(proposal=proposal, result=Result(proposal=0, fitness=0.0, cost=Cost(train_units=100))),),
        chosen=0,
        test=tests[-1],
        incumbents=tuple(Incumbent(units=units, test=test) for units, test in zip(marks, tests, strict=False)),
        ended=True,
    )


def cell(first: Sequence[Sequence[float]], second: Sequence[Sequence[float]]) -> MeasuredCell:
    histories = {"a": dict(enumerate(map(searched, first))), "b": dict(enumerate(map(searched, second)))}
    return MeasuredCell(name="one", evidence=evidence_of(histories), scale=Scale(zero=0.0, one=1.0, source="made up"))


def test_a_curve_reaches_a_score_between_the_two_tests_around_it() -> None:
    rising, slow = [[0.0, 2.0, 4.0, 6.0]] * SEEDS, [[0.0, 1.0, 2.0, 3.0]] * SEEDS
    share = reached(cell(rising, slow), "a", "b")
    assert share is not None and share.value == pytest.approx(0.625, abs=0.005)
    assert share.interval == (share.value, share.value), "all seeds are the same"
    itself = reached(cell(rising, slow), "b", "b")
    assert itself is not None and itself.value == 1


def test_a_method_that_is_never_as_good_says_so() -> None:
    share = reached(cell([[0.0, 1.0]] * SEEDS, [[0.0, 2.0]] * SEEDS), "a", "b")
    assert share is not None and math.isinf(share.value)
    assert share_text(share) == "never (never to never)"


def test_without_tests_before_the_end_nothing_can_be_said() -> None:
    assert share_text(reached(cell([[2.0]] * SEEDS, [[1.0]] * SEEDS), "a", "b")) == "–"


def test_a_lucky_test_is_not_where_a_curve_got_there() -> None:
    """Ten tests of a search that reaches the score only at its end, but for a lucky one halfway."""
    late = [[0, 0, 0, 0, 5, 0, 0, 0, 0, 4]] * SEEDS
    share = reached(cell(late, [[0] * 9 + [4]] * SEEDS), "a", "b")
    assert share is not None and share.value == pytest.approx(1.0, abs=0.03)


def test_noise_takes_equal_methods_about_equally_far_and_never_to_less_than_the_first_crossing() -> None:
    rng = np.random.default_rng(0)
    rising = np.linspace(0.1, 1.0, 10) ** 0.5
    shares = []
    for _ in range(60):
        first, second = rising + 0.3 * rng.standard_normal((2, SEEDS, 10))
        one = cell(first.tolist(), second.tolist())
        found = [share.value for method in "ab" if (share := reached(one, method, "b")) is not None]
        crossed = np.flatnonzero(first.mean(axis=0) >= second[:, -1].mean())
        assert len(found) == 2 and found[1] <= 1
        assert found[0] > crossed[0] / 10 if len(crossed) else math.isinf(found[0])
        shares.append([min(share, 1.0) for share in found])
    first_share, second_share = np.mean(shares, axis=0)
    assert abs(first_share - second_share) < 0.06, (first_share, second_share)
