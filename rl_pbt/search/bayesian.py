"""Sequential Bayesian optimisation by Optuna (Akiba et al. 2019, arXiv 1907.10902): full training runs, one after another.

Each trial is a member that trains once, with an equal share of the budget. The first few are the members that every other method
starts with; each later one is proposed by a model of those before. `bayes` models fitness with a Gaussian process and maximises
the logarithm of the expected improvement (Optuna's GPSampler); `tpe` models where good and bad hyperparameters lie with
tree-structured Parzen estimators (Bergstra et al. 2011; Optuna's TPESampler). Both use the installed Optuna's defaults, except
for the number of trials before there is a model: a quarter of the population (at least two), instead of Optuna's ten, which would
be all of a small one. Since version 5, Optuna's TPE models hyperparameters jointly by default, so `tpe` then proposes different
ones than with version 4.

A trial that failed counts as the worst seen so far, so that the model avoids its neighbourhood.

Optuna is an optional extra, loaded when such a method is made.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType
from typing import Literal, TypeAlias, final

from rl_pbt import seeds
from rl_pbt.errors import UserError
from rl_pbt.records import Hyper, Hypers, Proposal, Result
from rl_pbt.search.base import Bookkeeping, Start
from rl_pbt.search.problem import Problem
from rl_pbt.space import Choice, Dimension, Horizon, Integer, Linear, Log, Space

Sampler: TypeAlias = Literal["gp", "tpe"]
INSTALL = "pip install -e '.[search]'"


def load_optuna(wanted: str = "bayes and tpe need") -> ModuleType:
    """The package. Raises UserError as `check_optuna` does, and if it cannot be imported."""
    check_optuna(wanted)
    try:
        return importlib.import_module("optuna")
    except ImportError as error:
        raise UserError(f"{wanted} the package optuna, which cannot be imported here ({error}): {INSTALL}") from None


def check_optuna(wanted: str) -> None:
    """Raises UserError, which begins with `wanted` and says how to install the package, if it is absent."""
    if find_spec("optuna") is None:
        raise UserError(f"{wanted} the package optuna, which is not installed: {INSTALL}")


def startup_trials(population: int) -> int:
    """The number of trials that are drawn from the prior before there is a model."""
    return max(2, population // 4)


def distribution_of(dimension: Dimension, distributions: ModuleType) -> object:
    """The one of Optuna's `distributions` that equals the dimension's prior. A horizon is searched as 1 - discount."""
    match dimension:
        case Log():
            return distributions.FloatDistribution(dimension.low, dimension.high, log=True)
        case Linear():
            return distributions.FloatDistribution(dimension.low, dimension.high)
        case Horizon():
            return distributions.FloatDistribution(1.0 - dimension.high, 1.0 - dimension.low, log=True)
        case Integer():
            return distributions.IntDistribution(int(dimension.low), int(dimension.high))
        case Choice():
            return distributions.CategoricalDistribution(dimension.choices)
        case _:
            raise UserError(f"bayes and tpe cannot search {dimension.describe()!r}")


def to_optuna(dimension: Dimension, hyper: Hyper) -> Hyper:
    """Optuna's value for a hyperparameter, clipped to the bounds because 1 - discount is rounded."""
    if not isinstance(dimension, Horizon):
        return hyper
    return min(max(1.0 - float(hyper), 1.0 - dimension.high), 1.0 - dimension.low)


def from_optuna(dimension: Dimension, value: Hyper) -> Hyper:
    """The hyperparameter for a value of Optuna's, clipped to the bounds."""
    if isinstance(dimension, Choice | Integer):
        return value
    number = 1.0 - float(value) if isinstance(dimension, Horizon) else float(value)
    low, high = (float(bound) for bound in dimension.extremes)
    return min(max(number, low), high)


@final
class Study:
    """An Optuna study in memory: takes hyperparameters with their fitness, and suggests new ones. It is deterministic.

    Raises UserError if Optuna is not installed.
    """

    def __init__(self, space: Space, sampler: Sampler, *, startup: int, seed: int) -> None:
        self._optuna = load_optuna()
        self._dimensions = space.dimensions
        self._distributions = {
            name: distribution_of(dimension, self._optuna.distributions) for name, dimension in space.dimensions.items()
        }
        self._worst: float | None = None
        self._suggested: object = None  # Optuna's trial, until it is observed
        samplers = {"gp": self._optuna.samplers.GPSampler, "tpe": self._optuna.samplers.TPESampler}
        with self._alone():
            made = samplers[sampler](seed=seed % 2**32, n_startup_trials=startup)
            self._study = self._optuna.create_study(sampler=made, direction="maximize")

    def suggest(self) -> Hypers:
        """What to try next. `observe` must follow before the next suggestion."""
        with self._alone():
            trial = self._suggested = self._study.ask(self._distributions)
        return {name: from_optuna(dimension, trial.params[name]) for name, dimension in self._dimensions.items()}

    def observe(self, hypers: Hypers, fitness: float | None) -> None:
        """Take the fitness of the last suggestion, or of `hypers` if no suggestion is open; None for a failure."""
        value = self._worst if fitness is None else fitness
        if value is not None:
            self._worst = value if self._worst is None else min(value, self._worst)
        states = self._optuna.trial.TrialState
        state = states.FAIL if value is None else states.COMPLETE
        with self._alone():
            if self._suggested is not None:
                self._study.tell(self._suggested, value, state)
            else:
                params = {name: to_optuna(dimension, hypers[name]) for name, dimension in self._dimensions.items()}
                self._study.add_trial(
                    self._optuna.trial.create_trial(state=state, value=value, params=params, distributions=self._distributions)
                )
        self._suggested = None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Within, Optuna is silent, and PyTorch, which fits its Gaussian process, uses one thread: a fixed summation order."""
        torch, logging = importlib.import_module("torch"), self._optuna.logging
        threads, verbosity = torch.get_num_threads(), logging.get_verbosity()
        torch.set_num_threads(1)
        logging.set_verbosity(logging.ERROR)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that the Gaussian process is experimental, and about equal values
                yield
        finally:
            logging.set_verbosity(verbosity)
            torch.set_num_threads(threads)


@final
class Bayesian(Bookkeeping):
    """One trial at a time."""

    def __init__(self, problem: Problem, sampler: Sampler) -> None:
        super().__init__(problem)
        self._startup = startup_trials(self.plan.population)
        seed = seeds.seed(problem.root_seed, purpose="Bayesian optimisation")
        self._study = Study(self.space, sampler, startup=self._startup, seed=seed)

    def work(self) -> list[Proposal]:
        trial = len(self._begun)
        if self.underway or trial == self.plan.population:
            return []
        if not (units := self.account.allowance(1, self.plan.population - trial)):
            return []
        if trial < self._startup:
            return [self.begin(trial, units)]
        return [self.propose(trial, Start(hypers=self._study.suggest()), units=units)]

    def tell(self, result: Result) -> None:
        proposal = self.underway.get(result.proposal)
        super().tell(result)
        if proposal is not None and proposal.trains:
            self._study.observe(proposal.hypers, result.fitness)
