"""Records that are put together from others."""

from __future__ import annotations

import pytest

from rl_pbt.options import built
from rl_pbt.records import Cost, FinalTest, joined


def share(*returns: float, **metrics: float) -> FinalTest:
    return FinalTest(proposal=3, returns=returns, cost=Cost(wall_s=1.0), metrics=metrics)


def test_metrics_of_shares_of_a_test_are_means_over_all_its_episodes() -> None:
    whole = joined([share(1.0, 2.0, distance=4.0, other=1.0), share(6.0, distance=7.0)])
    assert whole.returns == (1.0, 2.0, 6.0) and whole.metrics == {"distance": pytest.approx(5.0)}, "what all of them have"
    failed = FinalTest(proposal=3, returns=(), cost=Cost(), excluded=2, failure="crashed")
    assert joined([failed, share(1.0, distance=4.0)]).metrics == {"distance": 4.0}
    assert joined([failed]).metrics == {}


def test_members_that_shared_the_time_have_equal_parts_of_it() -> None:
    spent = Cost(train_units=6, eval_units=3, updates=2, cpu_s=4.0, wall_s=3.0, method_s=2.0, eval_cpu_s=1.0)
    assert spent.share(4) == Cost(train_units=6, eval_units=3, updates=2, cpu_s=1.0, wall_s=0.75, method_s=0.5, eval_cpu_s=0.25)


def test_metrics_are_written_and_read_and_must_be_finite() -> None:
    test = share(1.0, distance=4.0)
    assert built(FinalTest, test.to_json()) == test
    older = {name: value for name, value in test.to_json().items() if name != "metrics"}
    assert built(FinalTest, older).metrics == {}, "of a ledger before there were any"
    with pytest.raises(ValueError, match="a metric that is not finite"):
        share(1.0, distance=1e301)
