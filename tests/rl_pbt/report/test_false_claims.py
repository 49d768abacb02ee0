"""What reports say of methods that are equal: each family of claims tells them apart in 5 % of runs, or suites, at most."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from rl_pbt.arrays import Floats
from rl_pbt.report.comparison import comparisons
from rl_pbt.report.suite import MeasuredCell, scores_of
from rl_pbt.report.suite.page import SuitePage
from rl_pbt.report.suite.scores import Scale
from rl_pbt.store.history import History
from tests.rl_pbt.report.evidence import evidence_of, scored

RUNS = 500


def most(runs: int) -> float:
    """The largest share that a simulation of so many runs may show, with its binomial error."""
    return 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5


MOST = most(RUNS)


def normal(rng: np.random.Generator, methods: int, seeds: int) -> Floats:
    """Some seeds are harder than others, for all methods: [method, seed]."""
    return rng.standard_normal((methods, seeds)) + rng.standard_normal(seeds)


def failing(rng: np.random.Generator, methods: int, seeds: int) -> Floats:
    """A fifth of the seeds of each method fail."""
    return normal(rng, methods, seeds) - 8.0 * (rng.random((methods, seeds)) < 0.2)


def said_of(returns: Floats, primary: str | None) -> list[str]:
    """The verdicts of a run with these test scores, [method, seed], whose first two methods may be declared as the primary."""
    return [comparison.verdict for comparison in comparisons(evidence_of(histories_of(returns), primary))]


def histories_of(returns: Floats) -> dict[str, dict[int, History]]:
    """Searches with these test scores, [method, seed]."""
    return {f"m{method}": {seed: scored(float(score)) for seed, score in enumerate(row)} for method, row in enumerate(returns)}


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


def page_of(returns: Floats, failed: Mapping[str, str] = {}) -> SuitePage:
    """The page of a suite with these test scores, [cell, method, seed], whose first two methods are the primary contrast."""
    scale = Scale(zero=0.0, one=1.0, source="made up")
    cells = [
        MeasuredCell(name=f"c{place}", evidence=evidence_of(histories_of(of_cell)), scale=scale)
        for place, of_cell in enumerate(returns)
    ]
    return SuitePage(
        title="made up", description="", primary=("m0", "m1"), reference="m1", scores=scores_of(cells), failed=failed
    )


def claims_of_suites(draw: Callable[..., Floats], methods: int, seeds: int, cells: int, runs: int) -> list[float]:
    """In how many suites of equal methods something is claimed: by the verdict, by other comparisons, and in a cell."""
    rng = np.random.default_rng(methods * seeds * cells)
    found = []
    for _ in range(runs):
        page = page_of(np.stack([draw(rng, methods, seeds) for _ in range(cells)]))
        families = (page.others, page.in_each_cell)
        found.append(("is better" in page.verdict, *(any(claim.better for claim in claims) for claims in families)))
    shares: list[float] = np.mean(found, axis=0).tolist()
    return shares


@pytest.mark.parametrize("draw", [normal, failing])
def test_of_equal_methods_no_family_of_a_suite_claims_more_than_its_share(draw: Callable[..., Floats]) -> None:
    """Four methods with eight seeds in three cells: two comparisons beside the contrast, and three cells."""
    shares = claims_of_suites(draw, 4, 8, 3, RUNS // 2)
    assert len(shares) == 3 and max(shares) <= most(RUNS // 2) and shares[0] > 0, shares


@pytest.mark.nightly
@pytest.mark.parametrize("draw", [normal, failing])
@pytest.mark.parametrize(("methods", "seeds", "cells"), [(2, 6, 1), (2, 12, 6), (4, 10, 4), (7, 10, 6)])
def test_of_equal_methods_no_family_of_any_suite_claims_more_than_its_share(
    draw: Callable[..., Floats], methods: int, seeds: int, cells: int
) -> None:
    shares = claims_of_suites(draw, methods, seeds, cells, 2 * RUNS)
    assert max(shares) <= most(2 * RUNS) and shares[0] > 0, shares


def test_a_suite_finds_what_differs_in_each_family() -> None:
    """The first method is better in two of three cells, and the last over all of them."""
    returns = np.random.default_rng(0).standard_normal((3, 4, 10))
    returns[:2, 0] += 10
    returns[:, 3] -= 10
    page = page_of(returns)
    assert page.verdict.startswith("m0 is better in the declared primary contrast: m0 minus m1 is ")
    assert [claim.better for claim in page.in_each_cell] == ["m0", "m0", None]
    assert page.ahead.startswith("m0 is shown to be better in 2 of 3 cells, and m1 in 0")
    assert [(claim.methods, claim.better) for claim in page.others] == [(("m1", "m2"), None), (("m1", "m3"), "m1")]
    assert {claim.chance.together for claim in page.others} == {2} and {claim.chance.together for claim in page.in_each_cell} == {
        3
    }


def test_a_suite_with_a_cell_missing_claims_nothing_over_cells_and_corrects_for_those_that_it_declared() -> None:
    returns = np.random.default_rng(0).standard_normal((2, 3, 10)) + 10 * np.array([1.0, 0.0, 0.0])[:, None]
    whole, page = page_of(returns), page_of(returns, failed={"c2": "stopped", "c3": "stopped"})
    assert "is better in the declared primary contrast" in whole.verdict and whole.others
    assert page.verdict.startswith("Unfinished: 2 of 4 cells have a result, so the declared primary contrast is not tested.")
    assert "is better" not in page.verdict and "p =" not in page.verdict and page.others == []
    for one, other in zip(whole.in_each_cell, page.in_each_cell, strict=True):
        assert one.chance.corrected == pytest.approx(2 * (one.chance.p_value or 0.0))
        assert other.chance.corrected == pytest.approx(4 * (one.chance.p_value or 0.0))
