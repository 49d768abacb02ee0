"""Tables of learning curves made from runs: ledgers of grid search give the curves, those of other methods check the model.

Any run of the same training in which hyperparameters change has measured what a table can only model: a member's score one
interval after a change. So a check needs no training of its own, and covers the changes that searches really make.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import final

import numpy as np

from rl_pbt.config import RunConfig
from rl_pbt.errors import UserError
from rl_pbt.recorded import history_of, manifest_of
from rl_pbt.records import JSON, Hyper, Hypers, Result
from rl_pbt.schedule import setting_of
from rl_pbt.space import Choice
from rl_pbt.store.history import History
from rl_pbt.store.manifest import Manifest
from rl_pbt.store.run import RunFolder
from rl_pbt.tasks.registry import task_type, words_of
from rl_pbt.tasks.table.curves import TableCurves
from rl_pbt.tasks.table.recorded import Curve, Header, Switches, Table, in_digits, reached_by_all

GRID = "grid"


def table_of(folder: Path, checks: Sequence[Path] = ()) -> Table:
    """The table of a finished run of grid search; its model is checked with the runs in `checks`, of the same training.

    Raises UserError for runs that cannot be used.
    """
    manifest, histories = _finished(folder)
    if GRID not in histories:
        raise UserError(f"{folder} has no ledgers of the method {GRID}, of which tables are made")
    by_seed = histories[GRID]
    varied = [name for name in manifest.config.search if len(_values(by_seed, name)) > 1]
    curves = tuple(curve for seed, history in by_seed.items() for curve in _curves(history, seed, varied))
    table = Table(header=_header(manifest, by_seed, varied, curves), curves=curves, source=_source(manifest, by_seed))
    return checked(table, [step for check in checks for step in _steps(check, manifest.config)]) if checks else table


def _finished(folder: Path) -> tuple[Manifest, dict[str, dict[int, History]]]:
    """The manifest of a run and, by method and seed, its ledgers. Raises UserError if it is not finished."""
    run = RunFolder(folder)
    manifest = manifest_of(run)
    if run.status != "finished":
        raise UserError(f"{folder} is {run.status}: resume and finish it first")
    config = manifest.config
    return manifest, {method: {seed: history_of(run, config, method, seed) for seed in config.seeds} for method in config.methods}


def _values(by_seed: Mapping[int, History], name: str) -> list[Hyper]:
    """The distinct values of a hyperparameter, in the order of the grid."""
    return list(dict.fromkeys(trial.proposal.hypers[name] for history in by_seed.values() for trial in history.trials))


def _curves(history: History, seed: int, varied: Sequence[str]) -> Iterator[Curve]:
    """The curves of one seed, one per member."""
    by_member: dict[int, list[Result]] = {}
    points: dict[int, Hypers] = {}
    for trial in history.trials:
        by_member.setdefault(trial.proposal.member, []).append(trial.result)
        points[trial.proposal.member] = {name: trial.proposal.hypers[name] for name in varied}
    for member, results in by_member.items():
        healthy = [result for result in results if result.failure is None]
        yield Curve(
            hypers=points[member],
            seed=seed,
            units=tuple(result.lineage_units for result in healthy),
            mean=tuple(in_digits(np.mean(result.returns)) for result in healthy),
            sd=tuple(in_digits(_spread(result.returns)) for result in healthy),
            eval_units=tuple(result.cost.eval_units for result in healthy),
            failed=len(healthy) < len(results),
        )


def _spread(scores: Sequence[float]) -> float:
    """Their sample standard deviation; 0 for a single score."""
    return float(np.std(scores, ddof=1)) if len(scores) > 1 else 0.0


def _header(manifest: Manifest, by_seed: Mapping[int, History], varied: Sequence[str], curves: Sequence[Curve]) -> Header:
    config = manifest.config
    held = {name: _values(by_seed, name)[0] for name in config.search if name not in varied}
    start = manifest.baseline or [min(curve.mean[0] for curve in curves if curve.mean)]  # the worst is closest to untrained
    return Header(
        title=task_type(config.task).title(config.task_options),
        words=asdict(words_of(config)),
        search={name: _range(config, by_seed, name) for name in varied},
        hypers={**config.hypers, **held},
        points=len(curves) // len(by_seed),
        seeds=tuple(by_seed),
        units=reached_by_all(curves),
        interval=config.interval,
        episodes=max(len(trial.result.returns) for history in by_seed.values() for trial in history.trials),
        start=in_digits(np.mean(start)),
        start_sd=in_digits(_spread(start)),
    )


def _range(config: RunConfig, by_seed: Mapping[int, History], name: str) -> str:
    """The part of a range that the grid covers: all of a range with bounds; of a choice, the values that occur."""
    dimension, values = config.space.dimensions[name], _values(by_seed, name)
    if isinstance(dimension, Choice) and len(values) < len(dimension.choices):
        return Choice(choices=tuple(choice for choice in dimension.choices if choice in values)).describe()
    return str(config.search[name])


def _source(manifest: Manifest, by_seed: Mapping[int, History]) -> dict[str, JSON]:
    """What made the table, and at what cost: `units`, and `cpu_s` in seconds."""
    costs = [history.cost for history in by_seed.values()]
    return {
        "command": manifest.command,
        "commit": manifest.last.commit,
        "versions": dict(manifest.last.versions),
        "processor": manifest.last.hardware.get("processor"),
        "units": sum(cost.units for cost in costs),
        "cpu_s": round(sum(cost.cpu_s for cost in costs)),
    }


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One interval of a real run: mean scores before and after, age at its beginning and length in units, hyperparameters."""

    hypers: Hypers
    changed: bool
    age: int
    units: int
    before: float
    after: float


def _steps(folder: Path, config: RunConfig) -> Iterator[Step]:
    """All intervals of a run except first ones, over all methods. Raises UserError if it is of another training."""
    manifest, histories = _finished(folder)
    ours, theirs = setting_of(config), setting_of(manifest.config)
    if differing := [name for name in ours if ours[name] != theirs.get(name)]:
        name = differing[0]
        raise UserError(f"{folder} cannot check the table: its {name} is {theirs.get(name)}, not {ours[name]}")
    for by_seed in histories.values():
        for history in by_seed.values():
            yield from _steps_of(history)


def _steps_of(history: History) -> Iterator[Step]:
    for trial in history.trials:
        parent = None if trial.proposal.parent is None else history.by_id[trial.proposal.parent]
        if parent is None or parent.result.fitness is None or trial.result.fitness is None:
            continue
        yield Step(
            hypers=trial.proposal.hypers,
            changed=trial.proposal.hypers != parent.proposal.hypers,
            age=parent.result.lineage_units,
            units=trial.result.cost.train_units,
            before=parent.result.fitness,
            after=trial.result.fitness,
        )


def checked(table: Table, steps: Sequence[Step]) -> Table:
    """The table, with how well its model predicts the steps. Raises UserError if no hyperparameter changed in any of them."""
    changed, steady = [step for step in steps if step.changed], [step for step in steps if not step.changed]
    if not changed:
        raise UserError("no hyperparameter changed in the runs that are to check the table: use a run of pbt, or of explore-only")
    curves = TableCurves(table)
    found = Switches(
        checked=len(changed),
        error=in_digits(error_of(curves, changed)),
        unmoved=in_digits(_root_mean_square([step.after - step.before for step in changed])),
        checked_steady=len(steady),
        steady=in_digits(error_of(curves, steady)) if steady else None,
    )
    return replace(table, header=replace(table.header, switches=found))


def error_of(curves: TableCurves, steps: Sequence[Step]) -> float:
    """Root mean square error of the model's predictions of the score after each step, from the score before it."""
    foretold = (curves.foretold(step.hypers, score=step.before, near=step.age, units=step.units) for step in steps)
    return _root_mean_square([found - step.after for found, step in zip(foretold, steps, strict=True)])


def _root_mean_square(differences: Sequence[float]) -> float:
    """The model predicts a mean; if scores are skewed, the mean absolute difference would favour the median instead."""
    return float(np.sqrt(np.mean(np.square(differences))))
