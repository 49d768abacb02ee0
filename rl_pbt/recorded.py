"""Reading a run folder's manifest and ledgers, checked against what the task and the methods declare.

A folder may come from somebody else, from another version or from a failing disk. So whatever a report, a resume or a replay
takes from a manifest is checked as strictly as the command line, and method names, which become file names, must be known.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from rl_pbt.config import RunConfig
from rl_pbt.errors import BadSetting, LostCheckpoint, UserError, did_you_mean
from rl_pbt.options import built, plain, types_of
from rl_pbt.records import Hyper, is_score
from rl_pbt.search import METHODS
from rl_pbt.space import Space
from rl_pbt.store.history import History, read_history
from rl_pbt.store.manifest import Manifest
from rl_pbt.store.run import RunFolder
from rl_pbt.tasks.on_environments.words import check_ending
from rl_pbt.tasks.registry import task_type

LONGEST_TEXT = 100_000  # characters, of one text of a configuration; it may be a whole program


def manifest_of(run: RunFolder) -> Manifest:
    """The run's manifest, with all options of task and methods. Raises UserError if it is missing or invalid."""
    manifest = run.manifest()
    try:
        return replace(manifest, config=_whole(manifest.config))
    except BadSetting as error:
        raise UserError(f"{run.manifest_path} is damaged or of another version: {error}") from None


def _whole(config: RunConfig) -> RunConfig:
    """The configuration with defaults for options that the run's version did not have yet. Raises UserError."""
    _check_texts(config.to_json())
    if not config.methods:
        raise BadSetting("methods", "names no method")
    of_methods = dict(config.method_options)
    for method in config.methods:
        if method not in METHODS:
            raise BadSetting("methods", f"cannot be {method!r:.100}")
        options = METHODS[method].options
        own = built(options, {name: value for name, value in config.method_options.items() if name in types_of(options)})
        of_methods |= plain(own)
    _ = config.space  # raises if a range is invalid
    return replace(
        config, task_options=plain(built(task_type(config.task).options, config.task_options)), method_options=of_methods
    )


def _check_texts(value: object) -> None:
    """Raises BadSetting if any text within `value` is too long or has control characters, unsafe on a terminal or a page."""
    match value:
        case str():
            if len(value) > LONGEST_TEXT or not all(
                c.isprintable() or c in "\n\t\r" or unicodedata.category(c) == "Zs" for c in value
            ):
                raise BadSetting("config", f"has a text that is too long or has control characters: {value:.40}")
        case Mapping():
            for name, entry in value.items():
                _check_texts(name)
                _check_texts(entry)
        case list():
            for entry in value:
                _check_texts(entry)


def history_of(run: RunFolder, config: RunConfig, method: str, seed: int) -> History:
    """What a ledger holds so far. Raises UserError, naming the file, if it is damaged or has hyperparameters of another space."""
    history, space = read_history(run, method, seed), config.space
    trials = (trial.proposal for trial in (*history.trials, *history.reevaluations))
    for proposal in (*trials, *(pending.proposal for pending in history.pending)):
        if wrong := wrong_hypers(space, proposal.hypers):
            where = run.ledger(method, seed).path
            raise UserError(f"{where} is damaged (proposal {proposal.id} {wrong}): restore the file from a copy")
    return history


def wrong_hypers(space: Space, hypers: Mapping[str, Hyper]) -> str | None:
    """Why these cannot be hyperparameters of that space; None if they can.

    Values need not lie within the ranges: hand-tuned ones may lie outside.
    """
    if hypers.keys() != space.dimensions.keys():
        return f"has the hyperparameters {', '.join(hypers) or 'none'} and not {', '.join(space.dimensions)}"
    for name, dimension in space.dimensions.items():
        if all(map(_is_number, dimension.extremes)) and not _is_number(hypers[name]):
            return f"has {hypers[name]!r:.100} for {name}, which is a number"
        if _is_number(hypers[name]) and not is_score(float(hypers[name])):
            return f"has {hypers[name]!r:.100} for {name}, which is more than anybody can draw"
    return None


def _is_number(value: Hyper) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def chosen_winner(run: RunFolder, config: RunConfig, method: str | None = None, seed: int | None = None) -> tuple[str, int, int]:
    """Method, seed and proposal of the winner with the best mean test score, among those of the given method and seed.

    Raises UserError for an unknown method or seed, and if there is no winner yet.
    """
    if method is not None and method not in config.methods:
        raise did_you_mean("method of this run", method, config.methods)
    if seed is not None and seed not in config.seeds:
        raise BadSetting("seed", f"{seed} is not a seed of this run: it has {', '.join(map(str, config.seeds))}")
    candidates: list[tuple[float, str, int, int]] = []
    for name in config.methods if method is None else (method,):
        for number in config.seeds if seed is None else (seed,):
            history = read_history(run, name, number)
            if history.chosen is not None:
                candidates.append((_tested(history), name, number, history.chosen))
    if not candidates:
        raise UserError(f"{run.folder} has no winner yet: resume it first")
    return max(candidates, key=lambda candidate: candidate[0])[1:]


def _tested(history: History) -> float:
    """The mean test score; lower than any other if nothing was tested."""
    return fmean(history.test.returns) if history.test is not None and history.test.returns else -math.inf


def check_kept(run: RunFolder, method: str, seed: int, proposal: int) -> None:
    """Raises UserError if the checkpoint of a winner is not in the run's folder."""
    if run.is_compacted:
        raise UserError(f"{run.folder} was compacted: its winners' checkpoints are gone, and its report is left")
    checkpoints = run.checkpoints(method, seed)
    if not checkpoints.holds(proposal):
        raise LostCheckpoint(proposal, f"checkpoint {checkpoints.path(proposal)} is missing")


def check_export(config: RunConfig, path: Path) -> None:
    """Raises UserError if a winner of the run has no policy to export, or none in files that end like `path`."""
    if reason := task_type(config.task).not_exported(config.task_options):
        raise UserError(f"this run's winner cannot be exported: {reason}")
    check_ending(path.suffix)
