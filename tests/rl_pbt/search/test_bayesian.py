"""What Optuna is told and what becomes of its answers; and that a model of the trials so far beats drawing at random."""

import inspect
import math
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rl_pbt.errors import UserError
from rl_pbt.records import Cost, Hypers, Proposal, Result
from rl_pbt.report.statistics import difference_of
from rl_pbt.search import METHODS, Method, NoOptions, Plan, Problem
from rl_pbt.search.bayesian import Sampler, Study, distribution_of, from_optuna, startup_trials, to_optuna
from rl_pbt.space import Choice, Horizon, Space, parse_dimension

ROOT = Path(__file__).resolve().parents[3]
SPACE = Space.parse({"lr": "log:1e-5:1e-1", "clip": "linear:0:1"})
MIXED = Space.parse({"lr": "log:1e-5:1e-2", "units": "int:1:9", "discount": "horizon:0.9:0.999", "eps": "choice:0.1:0.01"})
PLAN = Plan(population=8, budget_per_member=1000, interval=100)
SAMPLERS: dict[str, Sampler] = {"bayes": "gp", "tpe": "tpe"}
Judge = Callable[[Proposal], float | None]


@pytest.fixture(autouse=True)
def needs_optuna() -> None:
    pytest.importorskip("optuna", reason="the extra is not installed: pip install -e '.[search]'")


def make(name: str, root: int = 0, space: Space = SPACE, plan: Plan = PLAN) -> Method:
    return METHODS[name].make(Problem(space=space, plan=plan, root_seed=root), NoOptions())


def tell(method: Method, proposal: Proposal, fitness: float | None, eval_units: int = 0) -> None:
    method.tell(
        Result(
            proposal=proposal.id,
            fitness=fitness,
            failure="diverged" if fitness is None else None,
            returns=() if fitness is None else (fitness,),
            cost=Cost(train_units=proposal.units, eval_units=eval_units),
        )
    )


def trials_of(method: Method, judge: Judge, eval_units: int = 0) -> list[Proposal]:
    """One after another; the final re-evaluation is left out."""
    trials = []
    while asked := method.ask():
        for proposal in asked:
            trials += [proposal] if proposal.trains else []
            tell(method, proposal, judge(proposal), eval_units)
    return trials


def smooth(proposal: Proposal) -> float:
    """Stationary, highest at a learning rate of 10^-2.7 and a clip of 0.3."""
    lr, clip = math.log10(float(proposal.hypers["lr"])), float(proposal.hypers["clip"])
    return -((lr + 2.7) ** 2) - 4.0 * (clip - 0.3) ** 2


@pytest.mark.parametrize(
    ("text", "distribution"),
    [
        ("log:1e-5:1e-2", "FloatDistribution(high=0.01, log=True, low=1e-05, step=None)"),
        ("linear:0:1", "FloatDistribution(high=1.0, log=False, low=0.0, step=None)"),
        ("int:1:8", "IntDistribution(high=8, log=False, low=1, step=1)"),
        ("horizon:0.75:0.875", "FloatDistribution(high=0.25, log=True, low=0.125, step=None)"),
        ("choice:0.1:relu", "CategoricalDistribution(choices=(0.1, 'relu'))"),
    ],
)
def test_every_dimension_has_its_prior_in_optuna(text: str, distribution: str) -> None:
    import optuna

    assert str(distribution_of(parse_dimension(text), optuna.distributions)) == distribution


@pytest.mark.parametrize(
    "text", ["log:1e-5:1e-2", "linear:-1:1", "int:1:8", "horizon:0.9:0.999", "horizon:0:0.7", "choice:0.1:relu"]
)
def test_hypers_go_to_optuna_and_come_back_inside_both_bounds(text: str) -> None:
    import optuna

    dimension = parse_dimension(text)
    distribution = distribution_of(dimension, optuna.distributions)
    rng = np.random.default_rng(0)
    for hyper in [*dimension.extremes, *(dimension.sample(rng) for _ in range(1000))]:
        there = to_optuna(dimension, hyper)
        assert distribution._contains(distribution.to_internal_repr(there))
        back = from_optuna(dimension, there)
        assert back == (pytest.approx(hyper, abs=1e-12) if isinstance(dimension, Horizon) else hyper)
        if not isinstance(dimension, Choice):
            low, high = dimension.extremes
            assert float(low) <= float(back) <= float(high)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("eval_units", [0, 10])
def test_whole_trainings_one_after_another_each_with_its_share(name: str, eval_units: int) -> None:
    method = make(name)
    first = method.ask()
    assert len(first) == 1 and method.ask() == [], "one at a time"
    tell(method, first[0], 1.0, eval_units)
    trials = first + trials_of(method, smooth, eval_units)
    assert [(p.member, p.generation, p.parent) for p in trials] == [(trial, 0, None) for trial in range(8)]
    assert trials[0].units == PLAN.budget_per_member, "what judging costs is not known yet"
    # 8000 less a reserve of 16, what the first cost, seven evaluations and a final re-evaluation of eight: 6824 in sevenths.
    assert {p.units for p in trials[1:]} == ({974, 975} if eval_units else {1000})


@pytest.mark.parametrize("name", SAMPLERS)
def test_it_starts_with_the_members_of_every_other_method_and_then_leaves_the_draws(name: str) -> None:
    assert [startup_trials(population) for population in (2, 8, 12, 16, 40)] == [2, 2, 3, 4, 10]
    method, drawn = make(name), make("random").ask()
    trials = trials_of(method, smooth)
    same = [p.hypers == other.hypers for p, other in zip(trials, drawn, strict=True)]
    assert same == [True] * 2 + [False] * 6
    assert len({str(p.hypers) for p in trials}) == 8


@pytest.mark.parametrize(("sampler", "name"), [("gp", "GPSampler"), ("tpe", "TPESampler")])
def test_samplers_are_as_optuna_has_them_by_default_but_for_what_the_module_lists(
    sampler: Sampler, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trials before there is a model, and the seed, which Optuna draws."""
    import optuna

    made, given = getattr(optuna.samplers, name), {}
    monkeypatch.setattr(optuna.samplers, name, lambda **arguments: given.update(arguments) or made(**arguments))
    Study(SPACE, sampler, startup=2, seed=7)
    defaults = {one.name: one.default for one in inspect.signature(made).parameters.values()}
    assert given == {"n_startup_trials": 2, "seed": 7}, "nothing else is set, so all else is the installed version's default"
    assert (defaults["n_startup_trials"], defaults["seed"]) == (10, None), "as the module says"


@pytest.mark.parametrize("sampler", SAMPLERS.values())
def test_a_failure_counts_as_the_worst_so_far_or_as_failed_where_nothing_else_was_seen(sampler: Sampler) -> None:
    study = Study(SPACE, sampler, startup=2, seed=0)
    hypers: Hypers = {"lr": 1e-3, "clip": 0.5}
    for fitness in (None, 3.0, 1.0, None, 2.0):
        study.observe(hypers, fitness)
    study.observe(study.suggest(), None)
    study.observe(study.suggest(), 0.5)
    study.observe(study.suggest(), None)
    told = study._study.get_trials()
    assert [trial.value for trial in told] == [None, 3.0, 1.0, 1.0, 2.0, 1.0, 0.5, 0.5]
    assert [trial.state.name for trial in told] == ["FAIL"] + ["COMPLETE"] * 7


@pytest.mark.parametrize("name", SAMPLERS)
def test_optuna_is_heard_of_by_nobody_else(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    """No line of log, no draw from a global generator, and PyTorch's threads are as they were."""
    import optuna
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        before = (np.random.get_state()[1].tolist(), random.getstate(), torch.get_rng_state().tolist())  # type: ignore[index]
        trials_of(make(name, plan=Plan(population=4, budget_per_member=1000, interval=100)), smooth)
        assert (np.random.get_state()[1].tolist(), random.getstate(), torch.get_rng_state().tolist()) == before  # type: ignore[index]
        assert torch.get_num_threads() == 2 and optuna.logging.get_verbosity() == optuna.logging.INFO
    finally:
        torch.set_num_threads(threads)
    assert capfd.readouterr() == ("", "")


SCRIPT = """
import sys
from rl_pbt.records import Result
from rl_pbt.search import METHODS, NoOptions, Plan, Problem
from rl_pbt.space import Space

assert "optuna" not in sys.modules
space = Space.parse({"lr": "log:1e-5:1e-2", "units": "int:1:9", "discount": "horizon:0.9:0.999", "eps": "choice:0.1:0.01"})
for name in ("bayes", "tpe"):
    plan = Plan(population=6, budget_per_member=1000, interval=100)
    method = METHODS[name].make(Problem(space=space, plan=plan, root_seed=7), NoOptions())
    while asked := method.ask():
        print(asked[0].hypers)
        method.tell(Result(proposal=asked[0].id, fitness=-float(asked[0].hypers["lr"])))
"""


def test_any_process_makes_the_same_proposals_on_however_many_threads() -> None:
    said = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": threads, "PYTHONHASHSEED": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2")
    ]
    assert said[0] == said[1] and len(said[0].splitlines()) == 12


@pytest.mark.parametrize("name", SAMPLERS)
def test_without_optuna_one_line_says_what_to_install(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError, match=r"optuna, which is not installed: pip install -e '.\[search\]'"):
        make(name)


def winners_value(name: str, root: int, trials: int) -> float:
    method = make(name, root, plan=Plan(population=trials, budget_per_member=1000, interval=1000))
    asked = trials_of(method, smooth)
    winner = method.winner()
    return next(smooth(p) for p in asked if p.id == winner)


@pytest.mark.parametrize(("name", "trials"), [("bayes", 12), ("tpe", 40)])
def test_a_model_beats_random_search_where_the_best_hypers_stay_the_same(name: str, trials: int) -> None:
    """Parzen estimators need more trials than a Gaussian process: 16, four of them drawn, are not enough for them here."""
    values = {method: [[winners_value(method, root, trials)] for root in range(12)] for method in (name, "random")}
    gain = difference_of(values[name], values["random"])
    assert gain.interval is not None and gain.interval[0] > 0
