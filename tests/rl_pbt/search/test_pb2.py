"""PB2: the kernel and the acquisition against plain sums, and what the model is shown."""

import math
import sys
import warnings

import numpy as np
import pytest

from rl_pbt.errors import UserError
from rl_pbt.records import Cost, Proposal, Result
from rl_pbt.search import METHODS, Plan, Problem, pb2
from rl_pbt.search.evolution_options import QuarterOptions
from rl_pbt.search.pb2 import PB2, Model, Observation, exploration
from rl_pbt.space import Space

pytest.importorskip("sklearn", reason="pb2 needs scikit-learn: pip install -e '.[search]'")
from rl_pbt.search import gp  # it needs scikit-learn

RNG = np.random.default_rng
SPACE = Space.parse({"lr": "log:1e-5:1e-2", "units": "int:1:9", "eps": "choice:0.1:0.01"})
PLAN = Plan(population=8, budget_per_member=1000, interval=100)


def rows_and_targets(free: int = 2) -> tuple[gp.Floats, gp.Floats]:
    rows = RNG(0).random((40, 2 + free))
    return rows, -((rows[:, 2:] - 0.3) ** 2).sum(axis=1) + 0.05 * RNG(1).normal(size=40)


def test_the_kernel_is_the_papers() -> None:
    rows = RNG(0).random((5, 4))
    kernel = gp.signal_kernel().clone_with_theta(np.log([2.0, np.sqrt(0.7 / 2), 0.2]))
    for values, others in ((kernel(rows), rows), (kernel(rows, rows[:3]), rows[:3])):
        for i, (t, *x) in enumerate(rows):
            for j, (u, *y) in enumerate(others):
                distance = sum((a - b) ** 2 for a, b in zip(x, y, strict=True))
                assert values[i, j] == pytest.approx(2.0 * np.exp(-distance / 0.7) * 0.8 ** (abs(t - u) / 2))
    assert kernel.diag(rows) == pytest.approx(np.diag(kernel(rows)))
    initial = gp.signal_kernel()
    assert np.exp(initial.theta) == pytest.approx([1, np.sqrt(0.5), 0.1]), "s2, l = 1, epsilon"


def test_the_kernels_gradient_is_that_of_finite_differences() -> None:
    rows, kernel = RNG(0).random((6, 3)), gp.signal_kernel()
    _, gradient = kernel(rows, eval_gradient=True)
    for index, step in enumerate(1e-6 * np.eye(3)):
        up, down = (kernel.clone_with_theta(kernel.theta + sign * step)(rows) for sign in (1, -1))
        assert gradient[:, :, index] == pytest.approx((up - down) / 2e-6, abs=1e-8)


def test_how_much_is_explored_is_what_the_module_says_and_not_the_authors_product() -> None:
    assert [exploration(rows) for rows in (2, 80)] == pytest.approx([math.sqrt(0.2), 1.9147], abs=1e-4)
    assert "1.91 and not 0.83" in (pb2.__doc__ or "") and math.sqrt(0.2 * math.log(0.4 * 80)) == pytest.approx(0.8326, abs=1e-4)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kappa", [0.1, 2.0])
def test_the_maximum_of_the_acquisition_is_the_best_of_a_grid(kappa: float, seed: int) -> None:
    process = gp.Process(*rows_and_targets())
    context = np.array([1.1, 0.5])
    bound = process.upper_bound(np.array([[1.1, 0.5, 0.3, 0.3], [1.1, 0.2, 0.9, 0.1]]), kappa)
    axis = np.linspace(0, 1, 201)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    values = bound(np.hstack([np.tile(context, (len(grid), 1)), grid]))
    best = bound.argmax(context, 2, RNG(seed))
    assert np.all((best >= 0) & (best <= 1))
    found = bound(np.concatenate([context, best])[None])[0]
    assert found >= values.max() - 1e-4
    assert np.abs(best - grid[values.argmax()]).max() < 0.02 or found == pytest.approx(values.max(), abs=1e-4)


def test_the_bound_is_that_of_plain_linear_algebra() -> None:
    rows, targets = rows_and_targets()
    process = gp.Process(rows, targets)
    pending, asked = RNG(2).random((3, 4)), RNG(3).random((7, 4))
    kernel, noise = process.signal, process.noise
    mean = kernel(asked, rows) @ np.linalg.solve(kernel(rows) + noise * np.eye(40), gp.standardised(targets))
    seen = np.vstack([rows, pending])
    across = kernel(asked, seen)
    variance = kernel.diag(asked) - np.sum(across * np.linalg.solve(kernel(seen) + noise * np.eye(43), across.T).T, axis=1)
    assert process.upper_bound(pending, 1.5)(asked) == pytest.approx(mean + 1.5 * np.sqrt(variance), abs=1e-6)


def test_targets_are_standardised_and_clipped() -> None:
    assert gp.standardised(np.array([1.0, 3.0])) == pytest.approx([-1, 1])
    assert gp.standardised(np.array([0.0] * 99 + [1e9])).max() == 2
    assert gp.standardised(np.full(3, 7.0)) == pytest.approx([0, 0, 0])


def test_a_pending_configuration_is_not_chosen_again() -> None:
    observations = [Observation(generation=g, before=0.0, hypers=(0.5,), rate=1.0) for g in (1, 1, 2, 2)]
    model = Model(observations)
    first = model.choose(3, 0.0, [], RNG(0))
    again = model.choose(3, 0.0, [Observation(generation=3, before=0.0, hypers=tuple(first))], RNG(0))
    assert abs(float(first[0]) - float(again[0])) > 0.3


def play(method: PB2, fitness: dict[tuple[int, int], float | None]) -> list[Proposal]:
    """A generation; a member scores what is said, otherwise its own number."""
    asked = method.ask()
    for p in asked:
        value = fitness.get((p.generation, p.member), float(p.member))
        failure = None if value is not None else "diverged"
        method.tell(Result(proposal=p.id, fitness=value, failure=failure, cost=Cost(train_units=p.units)))
    return asked


def test_an_interval_is_measured_against_the_checkpoint_that_it_started_from() -> None:
    method = PB2(Problem(space=SPACE, plan=PLAN, root_seed=0), QuarterOptions())
    play(method, {})
    assert not method.observations, "nobody knows what a member was worth before its first interval"
    second = play(method, {(1, 2): 12.0, (1, 3): None, (1, 0): 10.0})
    donor = {p.member: p.parent for p in second}
    assert [p.member for p in second] == [2, 3, 4, 5, 6, 7, 0, 1], "copies choose last"
    seen = {(o.before, o.rate) for o in method.observations}
    assert len(method.observations) == 7, "a failure is no row"
    assert (2.0, 0.1) in seen and (4.0, 0.0) in seen
    assert donor[0] in (6, 7) and (donor[0], (10.0 - donor[0]) / 100) in seen, "a copy's jump counts for nothing"


def test_copies_are_from_the_prior_until_there_is_a_model_and_whole_numbers_and_choices_are_legal() -> None:
    method = PB2(Problem(space=SPACE, plan=PLAN, root_seed=0), QuarterOptions())
    generations = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        while (asked := play(method, {})) and asked[0].trains:
            generations.append({p.member: p for p in asked})
    copies = [p for generation in generations for p in generation.values() if p.hypers_from is not None]
    by_id = {p.id: p for generation in generations for p in generation.values()}
    donors = [by_id[p.parent] for p in copies if p.parent is not None]
    assert len(copies) == 2 * 9 and all(p.parent == p.hypers_from for p in copies)
    assert {type(p.hypers["units"]) for p in copies} == {int}
    modelled = [SPACE.dimensions["lr"].unit(p.hypers["lr"]) for p in copies if p.generation > 1]
    assert np.round(modelled, 3) == pytest.approx(modelled), "rounded, so that last bits make no other run"
    first = [SPACE.dimensions["lr"].unit(p.hypers["lr"]) for p in copies if p.generation == 1]
    assert np.abs(np.round(first, 3) - first).max() > 1e-5
    inherited = [p.hypers["eps"] == donor.hypers["eps"] for p, donor in zip(copies, donors, strict=True)]
    assert 5 < sum(inherited) < 18


def test_a_space_of_choices_alone_needs_no_model() -> None:
    space = Space.parse({"eps": "choice:0.1:0.01:0.001"})
    method = PB2(Problem(space=space, plan=PLAN, root_seed=0), QuarterOptions())
    while (asked := play(method, {})) and asked[0].trains:
        assert {p.hypers["eps"] for p in asked} <= {0.1, 0.01, 0.001}


def test_without_scikit_learn_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rl_pbt.search.gp", None)
    with pytest.raises(UserError, match=r"scikit-learn, which is not installed: pip install -e '.\[search\]'"):
        METHODS["pb2"].make(Problem(space=SPACE, plan=PLAN, root_seed=0), QuarterOptions())
