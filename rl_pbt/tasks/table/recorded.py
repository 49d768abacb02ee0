"""A table of learning curves, as a file: JSON, with a curve for each grid point and seed.

    {"version": 1, "header": {...}, "source": {...}, "curves": [{"hypers": {...}, "seed": 0, "units": [...], "mean": [...]}]}

The header is what a run and its report need to know of a table without opening it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any, final

import numpy as np

from rl_pbt.errors import BadSetting, UserError
from rl_pbt.options import as_json, at_least_one, built, fields_of, plain
from rl_pbt.records import JSON, Hyper, is_score
from rl_pbt.space import Space
from rl_pbt.tasks.words import Words

VERSION = 1
DIGITS = 6  # of a score
LARGEST_FILE = 500_000_000  # bytes


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """How well the model of a switch (`curves`) predicts real ones.

    `error` is the root mean square difference between an interval's mean score and what the model predicts from the one before
    it, over the `checked` intervals whose hyperparameters had changed. `unmoved` is the error of predicting no change. `steady`
    is the model's error over the `checked_steady` intervals where nothing had changed: only luck, and the noise of two
    evaluations.
    """

    checked: int
    error: float
    unmoved: float
    checked_steady: int
    steady: float | None

    def __post_init__(self) -> None:
        if self.checked < 1 or self.checked_steady < 0 or min(self.error, self.unmoved, self.steady or 0.0) < 0:
            raise BadSetting("switches", f"cannot be: {self}")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a table holds. `words` and `title` are those of the task that was recorded.

    `search` holds the ranges of the grid, and `hypers` the hand-tuned and the fixed values. All curves reach `units`; they were
    evaluated every `interval` units, on `episodes` episodes. Before any training the score is `start`, with a standard deviation
    of `start_sd` from episode to episode. Raises BadSetting for values that are impossible.
    """

    title: str
    words: Mapping[str, str]
    search: Mapping[str, str]
    hypers: Mapping[str, Hyper]
    points: int
    seeds: tuple[int, ...]
    units: int
    interval: int
    episodes: int
    start: float
    start_sd: float = 0.0
    switches: Switches | None = None

    def __post_init__(self) -> None:
        at_least_one(self, "points", "units", "interval", "episodes")
        built(Words, self.words)
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise BadSetting("seeds", "must be different whole numbers, one at least")
        if not (is_score(self.start) and self.start_sd >= 0 and is_score(self.start_sd)):
            raise BadSetting("start", f"cannot be {self.start} with a standard deviation of {self.start_sd}")

    def to_json(self) -> dict[str, JSON]:
        """Plain JSON, which `options.built` reads."""
        fields = {name: as_json(getattr(self, name)) for name in fields_of(Header) if name != "switches"}
        return {**fields, "switches": None if self.switches is None else plain(self.switches)}

    @property
    def space(self) -> Space:
        """The ranges of the grid. Raises UserError."""
        return Space.parse(dict(self.search))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One training with constant hyperparameters: after each number of `units`, the mean and standard deviation of the scores of
    an evaluation, and what that cost in units. One that `failed` did so after the last of these.

    Raises BadSetting for values that are impossible.
    """

    hypers: Mapping[str, Hyper]
    seed: int
    units: tuple[int, ...]
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    eval_units: tuple[int, ...]
    failed: bool = False

    def __post_init__(self) -> None:
        if {len(self.units)} != {len(self.mean), len(self.sd), len(self.eval_units)}:
            raise BadSetting("curves", f"of {dict(self.hypers)} have lists of different lengths")
        if not all(before < after for before, after in pairwise((0, *self.units))):
            raise BadSetting("units", f"of {dict(self.hypers)} must grow from above 0")
        if not all(map(is_score, (*self.mean, *self.sd))) or min((0.0, *self.sd, *self.eval_units)) < 0:
            raise BadSetting("curves", f"of {dict(self.hypers)} have a score or a cost that cannot be")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Header, curves, and where they come from. Raises BadSetting if a curve is missing or ends early."""

    header: Header
    curves: tuple[Curve, ...]
    source: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = sorted(self.header.space.dimensions)
        for curve in self.curves:
            if sorted(curve.hypers) != names:
                raise BadSetting("curves", f"must have the hyperparameters {', '.join(names)}, but one has {dict(curve.hypers)}")
        points = prod(len({curve.hypers[name] for curve in self.curves}) for name in names)
        found = {(*(curve.hypers[name] for name in names), curve.seed) for curve in self.curves}
        seeds = {curve.seed for curve in self.curves}
        whole = points == self.header.points and seeds == {*self.header.seeds}
        if not whole or not len(found) == len(self.curves) == points * len(seeds):
            raise BadSetting("curves", "must be one for each point of the grid and each seed")
        if any(not curve.failed and curve.units[-1:] < (self.header.units,) for curve in self.curves):
            raise BadSetting("curves", f"must all reach {self.header.units} units, or have failed")

    def to_bytes(self) -> bytes:
        """The content of the file, with one line for each curve."""
        lines = ",\n".join(json.dumps(plain(curve), allow_nan=False) for curve in self.curves)
        head = json.dumps(
            {"version": VERSION, "header": self.header.to_json(), "source": dict(self.source)}, indent=2, allow_nan=False
        )
        return f'{head[:-2]},\n  "curves": [\n{lines}\n  ]\n}}\n'.encode()


def in_digits(score: float | np.floating[Any]) -> float:
    """A score, rounded to the digits that are kept."""
    return float(f"{score:.{DIGITS}g}")


def reached_by_all(curves: Sequence[Curve]) -> int:
    """The units that all curves reach except those that failed. Raises UserError if all failed."""
    reached = [curve.units[-1] for curve in curves if not curve.failed and curve.units]
    if not reached:
        raise UserError("no training came to its end: there is nothing to make a table of")
    return min(reached)


def read_table(path: Path) -> tuple[Table, str]:
    """A table and the digest of its file. Raises UserError, which names the file, if it is absent or something else."""
    try:
        if not path.is_file() or path.stat().st_size > LARGEST_FILE:  # reading a pipe would never end
            raise UserError(f"cannot read {path}: a table is a file that `rl-pbt table` wrote")
        content = path.read_bytes()
        fields = json.loads(content)
        if not isinstance(fields, dict) or fields.pop("version", None) != VERSION:
            raise UserError(f"{path} is not a table of version {VERSION}: write one with `rl-pbt table`")
        return built(Table, fields), hashlib.sha256(content).hexdigest()[:32]
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
    except BadSetting as error:
        raise UserError(f"{path} is not a table that can be used: {error}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error}): restore it from a copy") from None
