"""A run as studies of Optuna (Akiba et al. 2019), for its dashboards: one study for each method and seed.

A trial is a member, from its founding to its last interval. Its intermediate values are the member's fitness over the units that
it trained for, its parameters and its value are the last ones, and each copy is a row of its attribute `copied_from`. A member
whose last interval failed is a failed trial. If the search has not ended, trials are running.

The same run gives the same trials. They begin in 1970, and last as long as the member trained.

Optuna is an optional extra, loaded when a study is written.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from pathlib import Path
from types import ModuleType
from typing import Any, final

from rl_pbt.errors import UserError, plain_text
from rl_pbt.records import JSON, Hyper, Trial
from rl_pbt.report.evidence import read_evidence
from rl_pbt.search.bayesian import check_optuna, load_optuna
from rl_pbt.space import Choice, Dimension, Horizon, Integer, Log
from rl_pbt.store.history import History, with_reevaluations
from rl_pbt.store.run import RunFolder

SQLITE = "sqlite:///"
NEEDED = "a study of Optuna needs"
EPOCH = datetime(1970, 1, 1)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """What represents a hyperparameter in a study; for a discount that is 1 - discount, on a logarithmic scale."""

    name: str
    dimension: Dimension
    values: frozenset[Hyper]  # all values that it had, which need not lie in its range

    @property
    def title(self) -> str:
        """Its name in the study."""
        return f"1 - {self.name}" if isinstance(self.dimension, Horizon) else self.name

    def shown(self, hyper: Hyper) -> Hyper:
        """The value that represents `hyper` in the study."""
        if isinstance(self.dimension, Choice):
            return hyper
        return 1.0 - float(hyper) if isinstance(self.dimension, Horizon) else hyper

    def distribution(self, distributions: ModuleType) -> object:
        """Optuna's distribution, as wide as the values need: published ones may lie outside the range."""
        if isinstance(self.dimension, Choice):
            others = sorted(self.values - set(self.dimension.choices), key=str)
            return distributions.CategoricalDistribution([*self.dimension.choices, *others])
        shown = [float(self.shown(value)) for value in (*self.dimension.extremes, *self.values)]
        low, high = min(shown), max(shown)
        if isinstance(self.dimension, Integer) and all(value == int(value) for value in shown):
            return distributions.IntDistribution(int(low), int(high))
        return distributions.FloatDistribution(low, high, log=isinstance(self.dimension, Log | Horizon) and low > 0)


def check_storage(storage: str) -> None:
    """Raises UserError if studies cannot be written there, or if Optuna is absent; does not load it."""
    if not storage.startswith(SQLITE) or not Path(storage.removeprefix(SQLITE)).parent.is_dir():
        raise UserError(f"cannot write studies to {storage!r}: write {SQLITE}FILE.db, in a folder that exists")
    check_optuna(NEEDED)


def write_studies(run: RunFolder, storage: str) -> list[str]:
    """Write the studies into an SQLite database. Returns their names.

    Raises UserError if one of that name exists, or if they cannot be written.
    """
    check_storage(storage)
    optuna = load_optuna(NEEDED)
    evidence = read_evidence(run)
    name = plain_text(run.folder.absolute().name, 100)
    searches = {
        f"{name}/{method}/seed-{seed}": (method, seed, history)
        for method, by_seed in evidence.histories.items()
        for seed, history in by_seed.items()
    }
    with _silence(optuna), _errors_of_the_database(optuna, storage):
        opened = optuna.storages.RDBStorage(storage)
        if taken := sorted(set(optuna.get_all_study_names(opened)) & searches.keys()):
            raise UserError(
                f"{storage} has a study {taken[0]!r} already: name another file, or delete it with optuna.delete_study"
            )
        for study_name, (method, seed, history) in searches.items():
            study = optuna.create_study(study_name=study_name, storage=opened, direction="maximize")
            attributes = {"run": name, "title": evidence.title, "method": method, "seed": seed, **_tested(history)}
            for attribute, value in attributes.items():
                study.set_user_attr(attribute, value)
            study.add_trials(list(trials_of(history, evidence.config.space.dimensions, optuna)))
        opened.engine.dispose()
    return list(searches)


def trials_of(history: History, dimensions: Mapping[str, Dimension], optuna: ModuleType) -> Iterator[Any]:
    """Optuna's trials, one for each member."""
    members: dict[int, list[Trial]] = {}
    for trial in history.trials:
        members.setdefault(trial.proposal.member, []).append(trial)
    parameters = [
        Parameter(name=name, dimension=one, values=frozenset(trial.proposal.hypers[name] for trial in history.trials))
        for name, one in dimensions.items()
    ]
    distributions = {one.title: one.distribution(optuna.distributions) for one in parameters}
    for number, (_, life) in enumerate(sorted(members.items())):
        yield _trial(number, life, history, parameters, distributions, optuna)


def _trial(
    number: int, life: Sequence[Trial], history: History, parameters: Sequence[Parameter], distributions: Any, optuna: ModuleType
) -> object:
    last, states = life[-1], optuna.trial.TrialState
    found = last.result
    if found.unevaluated:  # after all training, if not before
        found = with_reevaluations(history, last.proposal.id)
    known = history.ended and found.fitness is not None
    state = states.FAIL if last.result.failure is not None else states.COMPLETE if known else states.RUNNING
    ages = list(accumulate(trial.proposal.units for trial in life))
    wall_s = sum(trial.result.cost.wall_s for trial in life)
    return optuna.trial.FrozenTrial(
        number=number,
        trial_id=number,  # replaced by the database
        state=state,
        value=found.fitness if state == states.COMPLETE else None,
        datetime_start=EPOCH,
        datetime_complete=None if state == states.RUNNING else EPOCH + timedelta(seconds=wall_s),
        params={one.title: one.shown(last.proposal.hypers[one.name]) for one in parameters},
        distributions=distributions,
        user_attrs=_attributes(life, history),
        system_attrs={},
        intermediate_values={
            age: score for age, trial in zip(ages, life, strict=True) if (score := trial.result.score) is not None
        },
    )


def _attributes(life: Sequence[Trial], history: History) -> dict[str, JSON]:
    """What else is known about a member; `copied_from` has pairs [its generation, the member that it copied]."""
    last, donor = life[-1], history.lineage.donor
    sources = [(trial.proposal.generation, donor(trial.proposal)) for trial in life]
    copied: list[JSON] = [[generation, source.member] for generation, source in sources if source is not None]
    attributes: dict[str, JSON] = {
        "member": last.proposal.member,
        "generation": last.proposal.generation,
        "copied_from": copied,
        "failure": last.result.failure and plain_text(last.result.failure),
    }
    won = history.chosen is not None and history.by_id[history.chosen].proposal.member == last.proposal.member
    return attributes | (_tested(history) if won else {})


def _tested(history: History) -> dict[str, JSON]:
    """The winner and its test scores; empty if none was chosen."""
    if history.chosen is None:
        return {}
    winner = history.by_id[history.chosen].proposal
    scores: list[JSON] = [] if history.test is None else list(history.test.returns)
    return {"winner": winner.member, "winner_generation": winner.generation, "test_scores": scores}


@contextmanager
def _silence(optuna: ModuleType) -> Iterator[None]:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)


@contextmanager
def _errors_of_the_database(optuna: ModuleType, storage: str) -> Iterator[None]:
    """Errors of the database as UserError, one line: the file is not a database, or is from another version of Optuna."""
    try:
        yield
    except (
        optuna.exceptions.StorageInternalError,
        RuntimeError,
        importlib.import_module("sqlalchemy.exc").SQLAlchemyError,
    ) as error:
        raise UserError(f"cannot write studies to {storage!r}: {str(error).partition(chr(10))[0]}; name another file") from error
