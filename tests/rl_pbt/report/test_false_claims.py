"""What the suite itself says of methods that are equal: it tells them apart in 5 % of runs at most, in either family."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from rl_pbt.arrays import Floats
from rl_pbt.config import RunConfig
from rl_pbt.records import Cost, FinalTest, Proposal, Result, Trial
from rl_pbt.report.comparison import comparisons
from rl_pbt.report.evidence import Evidence
from rl_pbt.store.history import History
from rl_pbt.store.manifest import Manifest

RUNS = 500
MOST = 0.05 + 3 * (0.05 * 0.95 / RUNS) ** 0.5  # with the error of the simulation


def normal(rng: np.random.Generator, methods: int, seeds: int) -> Floats:
    """Some seeds are harder than others, for all methods: [method, seed]."""
    return rng.standard_normal((methods, seeds)) + rng.standard_normal(seeds)


def failing(rng: np.random.Generator, methods: int, seeds: int) -> Floats:
    """A fifth of the seeds of each method fail."""
    return normal(rng, methods, seeds) - 8.0 * (rng.random((methods, seeds)) < 0.2)


def scored(score: float) -> History:
    proposal = Proposal(id=0, member=0, generation=0, hypers={}, parent=None, units=1)
    trial = Trial(proposal=proposal, result=Result(proposal=0, fitness=0.0))
    return History(trials=(trial,), chosen=0, test=FinalTest(proposal=0, returns=(score,), cost=Cost()), ended=True)


def said_of(returns: Floats, primary: str | None) -> list[str]:
    """The verdicts of a run with these test scores, [method, seed], whose first two methods may be declared as the primary."""
    methods, seeds = [f"m{method}" for method in range(len(returns))], tuple(range(returns.shape[1]))
    config = RunConfig(
        task="quadratic", methods=tuple(methods), seeds=seeds, primary=primary, population=2, budget=1, interval=1, group_size=1,
        search={}, hypers={}, test_episodes=1,
    )  # fmt: skip
    histories = {
        method: {seed: scored(float(score)) for seed, score in zip(seeds, scores, strict=True)}
        for method, scores in zip(methods, returns, strict=True)
    }
    evidence = Evidence(status="finished", manifest=Manifest(command="", config=config), histories=histories)
    return [comparison.verdict for comparison in comparisons(evidence)]


def claims(draw: Callable[..., Floats], methods: int, seeds: int, runs: int) -> tuple[float, float]:
    """In how many runs of equal methods the primary contrast is claimed, and in how many anything else."""
    rng = np.random.default_rng(methods * seeds)
    found = []
    for _ in range(runs):
        primary, *others = said_of(draw(rng, methods, seeds), "m0:m1")
        assert "did better" not in "".join([primary, *others])
        found.append(("is better" in primary, any("is better" in verdict for verdict in others)))
    first, second = np.mean(found, axis=0).tolist()
    return first, second


@pytest.mark.parametrize("draw", [normal, failing])
@pytest.mark.parametrize("seeds", [3, 6, 10])
def test_of_two_equal_methods_neither_is_better(draw: Callable[..., Floats], seeds: int) -> None:
    primary, _ = claims(draw, 2, seeds, RUNS)
    assert primary <= MOST and (primary == 0) == (seeds < 6), primary


def test_of_equal_methods_neither_family_claims_more_than_its_share() -> None:
    primary, others = claims(normal, 4, 8, RUNS)
    assert 0 < primary <= MOST and 0 < others <= MOST, (primary, others)


@pytest.mark.nightly
@pytest.mark.parametrize("draw", [normal, failing])
@pytest.mark.parametrize("seeds", [10, 20])
def test_of_nineteen_equal_methods_neither_family_claims_more_than_its_share(draw: Callable[..., Floats], seeds: int) -> None:
    """The primary contrast, and 17 comparisons beside it."""
    primary, others = claims(draw, 19, seeds, RUNS)
    assert 0 < primary <= MOST and others <= MOST, (primary, others)


def test_a_method_that_is_better_is_found_by_the_primary_contrast_alone() -> None:
    """Among four comparisons six seeds can show nothing; in the primary contrast they can."""
    returns = np.random.default_rng(0).standard_normal((5, 6))
    returns[0] += 10
    assert all("6 seeds are too few to find any, however large" in verdict for verdict in said_of(returns, None))
    primary, *others = said_of(returns, "m0:m1")
    assert primary.startswith("m0 is better in the declared primary contrast: m0 minus m1 is ")
    assert len(others) == 3 and all("too few to find any" in verdict and "here are 3" in verdict for verdict in others)
