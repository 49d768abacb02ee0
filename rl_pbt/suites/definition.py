"""The definition of a suite: a TOML file that names methods, seeds, and every setting of each of its cells.

    version = 1
    description = "..."
    methods = ["pbt", "random"]
    primary = "pbt:random"  # the one contrast that the suite is for
    seeds = [0, 1, 2]

    [settings]              # of all cells, by the names of `rl-pbt bench --config`
    population = 8

    [cells.acrobot]         # its own settings
    env = "Acrobot-v1"
    frames = 100_000
    scale = { zero = -500.0, one = -83.4, source = "..." }
    bands = { pbt = [-110.0, -80.0] }

A published suite is never edited: a change makes a new version, or a file with another name.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias, final

from rl_pbt.config import RunConfig, check_contrasts
from rl_pbt.errors import UserError, did_you_mean
from rl_pbt.making import configure
from rl_pbt.options import Settings
from rl_pbt.records import is_score
from rl_pbt.report.suite.scores import Scale

FROZEN = Path(__file__).parent / "frozen"
NEEDED = frozenset({"version", "description", "methods", "primary", "seeds", "cells"})
KNOWN = NEEDED | {"settings"}
OF_ALL = frozenset({"methods", "seeds"})  # the same in all cells: they are one experimental design
OF_THE_SUITE = OF_ALL | {"primary", "against"}  # not allowed in a cell: no cell makes claims of its own
LEAST_SEEDS = 3
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")  # of a cell; it is also a folder name

Band: TypeAlias = tuple[float, float]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One run of a suite: its settings as written, the resulting configuration, and the scale for its scores.

    `bands` are the expected ranges of mean test scores, by method, as far as they are known.
    """

    name: str
    settings: Settings
    config: RunConfig
    scale: Scale
    bands: Mapping[str, Band]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A suite in which every cell has a valid configuration; `text` is the file as it was read."""

    name: str
    version: int
    description: str
    methods: tuple[str, ...]
    primary: tuple[str, str]
    seeds: tuple[int, ...]
    cells: tuple[Cell, ...]
    text: bytes

    @property
    def digest(self) -> str:
        """A digest of the file, which tells two versions apart whatever they call themselves."""
        return hashlib.sha256(self.text).hexdigest()[:16]

    @property
    def title(self) -> str:
        """Name and version."""
        return f"{self.name}, version {self.version}"


def frozen_suites() -> dict[str, Path]:
    """The suites that come with the package, by name."""
    return {path.stem: path for path in sorted(FROZEN.glob("*.toml"))}


def find_suite(word: str) -> Suite:
    """A suite by name, or by the path of a `.toml` file. Raises UserError for one that could not run completely."""
    if word.endswith(".toml"):
        return read_suite(Path(word))
    known = frozen_suites()
    if word not in known:
        raise did_you_mean("suite", word, known)
    return read_suite(known[word])


def read_suite(path: Path) -> Suite:
    """Read and check a suite. Raises UserError, which names the cell and the setting, if it could not run completely."""
    try:
        text = path.read_bytes()
        fields = tomllib.loads(text.decode("utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not TOML: {error}") from None
    try:
        return _suite(path.stem, fields, text)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _suite(name: str, fields: Mapping[str, Any], text: bytes) -> Suite:
    for missing in sorted(NEEDED - set(fields)):
        raise UserError(f"{missing} is missing: a suite names {', '.join(sorted(NEEDED))}")
    for unknown in sorted(set(fields) - KNOWN):
        raise did_you_mean("name", unknown, KNOWN)
    version, cells = fields["version"], fields["cells"]
    if type(version) is not int or version < 1:
        raise UserError(f"version must be a whole number from 1 on, but is {version!r}")
    if not isinstance(cells, dict) or not cells or not all(isinstance(cell, dict) for cell in cells.values()):
        raise UserError("cells must be tables, as in [cells.acrobot]")
    shared = fields.get("settings", {})
    if not isinstance(shared, dict):
        raise UserError("settings must be a table")
    design = {setting: fields[setting] for setting in sorted(OF_ALL)}
    if not isinstance(fields["seeds"], list) or len(fields["seeds"]) < LEAST_SEEDS:
        raise UserError(f"seeds must be a list of {LEAST_SEEDS} or more: with fewer there is no interval over seeds")
    found = tuple(_cell(cell, own, shared, design) for cell, own in cells.items())
    return Suite(
        name=name,
        version=version,
        description=str(fields["description"]),
        methods=found[0].config.methods,
        primary=_primary(fields["primary"], found[0].config.methods),
        seeds=found[0].config.seeds,
        cells=found,
        text=text,
    )


def _primary(word: object, methods: tuple[str, ...]) -> tuple[str, str]:
    if not isinstance(word, str):
        raise UserError(f"primary must be two of the methods, as in pbt:random, but is {word!r:.60}")
    check_contrasts(methods, word, None)
    first, second = word.split(":")
    return first, second


def _cell(name: str, fields: Settings, shared: Settings, design: Settings) -> Cell:
    if not NAME.fullmatch(name):
        raise UserError(f"cell {name!r:.60}: a name has small letters, digits and hyphens, 40 at most")
    own = dict(fields)
    scale, bands = own.pop("scale", None), own.pop("bands", {})
    for setting in sorted(OF_THE_SUITE & {*own, *shared}):
        raise UserError(f"cell {name}: {setting} is one of all cells: write it at the top")
    settings = {**shared, **own, **design}
    try:
        config = configure(settings)
        return Cell(
            name=name,
            settings=MappingProxyType(settings),
            config=config,
            scale=_scale(scale),
            bands=MappingProxyType({method: _band(method, band, config) for method, band in _table("bands", bands).items()}),
        )
    except UserError as error:
        raise UserError(f"cell {name}: {error}") from None


def _scale(fields: object) -> Scale:
    table = _table("scale", fields)
    if set(table) != {"zero", "one", "source"} or not all(_is_number(table[end]) for end in ("zero", "one")):
        raise UserError("scale must have zero and one, which are scores, and a source")
    if table["zero"] == table["one"]:
        raise UserError("scale must have another score for one than for zero")
    return Scale(zero=float(table["zero"]), one=float(table["one"]), source=str(table["source"]))


def _band(method: str, fields: object, config: RunConfig) -> Band:
    if method not in config.methods:
        raise did_you_mean("method of the suite", method, config.methods)
    if not isinstance(fields, list) or len(fields) != 2 or not all(map(_is_number, fields)) or fields[0] > fields[1]:
        raise UserError(f"bands of {method} must be the least and the largest mean test score, as in [-110.0, -80.0]")
    return float(fields[0]), float(fields[1])


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and is_score(value)


def _table(name: str, fields: object) -> Mapping[str, Any]:
    if not isinstance(fields, dict):
        raise UserError(f"{name} is missing" if fields is None else f"{name} must be a table")
    return fields
