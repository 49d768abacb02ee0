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

With more than two methods, `against = "random"` names the one that the others are compared with; without it that is the second
of the primary contrast. A published suite is never edited: a change makes a new version, or a file with another name. Bands, the
mean test scores that `--check` expects, are known only after a run, so they have a file of their own, `<name>.bands.toml`:

    [acrobot]
    pbt = [-110.0, -80.0]
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias, final

from rl_pbt.config import RunConfig, check_contrasts
from rl_pbt.errors import UserError, did_you_mean
from rl_pbt.making import configure
from rl_pbt.options import Settings
from rl_pbt.records import is_score
from rl_pbt.report.suite.scores import Scale
from rl_pbt.store.files import read_toml

FROZEN = Path(__file__).parent / "frozen"
NEEDED = frozenset({"version", "description", "methods", "primary", "seeds", "cells"})
KNOWN = NEEDED | {"settings", "against"}
OF_ALL = frozenset({"methods", "seeds"})  # the same in all cells: they are one experimental design
OF_THE_SUITE = OF_ALL | {"primary", "against"}  # not allowed in a cell: these are declared once
LEAST_SEEDS = 3
BANDS = ".bands.toml"  # ends the name of a file of bands
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")  # of a cell; it is also a folder name

Band: TypeAlias = tuple[float, float]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One run of a suite: its settings as written, the resulting configuration, and the scale for its scores."""

    name: str
    settings: Settings
    config: RunConfig
    scale: Scale


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A suite in which every cell has a valid configuration; `text` is the file as it was read.

    `reference` is the method that each of the others is compared with, beside the primary contrast. `bands` are the expected
    ranges of mean test scores, by cell and method, as far as they are known.
    """

    name: str
    version: int
    description: str
    methods: tuple[str, ...]
    primary: tuple[str, str]
    reference: str
    seeds: tuple[int, ...]
    cells: tuple[Cell, ...]
    bands: Mapping[str, Mapping[str, Band]]
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
    return {path.stem: path for path in sorted(FROZEN.glob("*.toml")) if not path.name.endswith(BANDS)}


def find_suite(word: str) -> Suite:
    """A suite by name, or by the path of a `.toml` file. Raises UserError for one that could not run completely."""
    if word.endswith(".toml"):
        return read_suite(Path(word))
    known = frozen_suites()
    if word not in known:
        raise did_you_mean("suite", word, known)
    return read_suite(known[word])


def read_suite(path: Path) -> Suite:
    """Read and check a suite, and its bands if there is a file of them.

    Raises UserError, which names the file, the cell and the setting, if the suite could not run completely.
    """
    text, fields = read_toml(path)
    with _errors_of(path):
        suite = _suite(path.stem, fields, text)
    of_bands = path.with_name(path.stem + BANDS)
    if not of_bands.exists():
        return suite
    _, fields = read_toml(of_bands)
    with _errors_of(of_bands):
        return replace(suite, bands=MappingProxyType({cell: _bands(cell, bands, suite) for cell, bands in fields.items()}))


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    """Errors within are those of the file."""
    try:
        yield
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
    if not isinstance(fields["seeds"], list) or len(fields["seeds"]) < LEAST_SEEDS:
        raise UserError(f"seeds must be a list of {LEAST_SEEDS} or more: with fewer there is no interval over seeds")
    first, second = _primary(fields["primary"])
    reference = _reference(fields.get("against", second))
    design = _design(fields, reference)
    found = tuple(_cell(cell, own, shared, design) for cell, own in cells.items())
    methods = found[0].config.methods
    check_contrasts(methods, fields["primary"], reference)
    return Suite(
        name=name,
        version=version,
        description=str(fields["description"]),
        methods=methods,
        primary=(first, second),
        reference=reference,
        seeds=found[0].config.seeds,
        cells=found,
        bands=MappingProxyType({}),
        text=text,
    )


def _primary(word: object) -> tuple[str, str]:
    first, _, second = word.partition(":") if isinstance(word, str) else ("", "", "")
    if not first or not second:
        raise UserError(f"primary must be two of the methods, as in pbt:random, but is {word!r:.60}")
    return first, second


def _reference(word: object) -> str:
    if not isinstance(word, str):
        raise UserError(f"against must be one of the methods, but is {word!r:.60}")
    return word


def _design(fields: Mapping[str, Any], reference: str) -> Settings:
    """The settings that all cells have in common: with more than two methods also what the suite declares.

    With two there is only one comparison, and nothing to declare in a run.
    """
    design = {setting: fields[setting] for setting in sorted(OF_ALL)}
    declared = isinstance(fields["methods"], list) and len(fields["methods"]) > 2
    return {**design, "primary": fields["primary"], "against": reference} if declared else design


def _cell(name: str, fields: Settings, shared: Settings, design: Settings) -> Cell:
    if not NAME.fullmatch(name):
        raise UserError(f"cell {name!r:.60}: a name has small letters, digits and hyphens, 40 at most")
    own = dict(fields)
    scale = own.pop("scale", None)
    for setting in sorted(OF_THE_SUITE & {*own, *shared}):
        raise UserError(f"cell {name}: {setting} is one of all cells: write it at the top")
    settings = {**shared, **own, **design}
    try:
        config = configure(settings, elsewhere=OF_THE_SUITE)
        return Cell(name=name, settings=MappingProxyType(settings), config=config, scale=_scale(scale))
    except UserError as error:
        raise UserError(f"cell {name}: {error}") from None


def _scale(fields: object) -> Scale:
    table = _table("scale", fields)
    if set(table) != {"zero", "one", "source"} or not all(_is_number(table[end]) for end in ("zero", "one")):
        raise UserError("scale must have zero and one, which are scores, and a source")
    if table["zero"] >= table["one"]:
        raise UserError("scale must have a higher score for one than for zero: a reversed scale would reverse every verdict")
    return Scale(zero=float(table["zero"]), one=float(table["one"]), source=str(table["source"]))


def _bands(cell: str, fields: object, suite: Suite) -> Mapping[str, Band]:
    if cell not in (names := [one.name for one in suite.cells]):
        raise did_you_mean("cell of the suite", cell, names)
    return MappingProxyType({method: _band(method, band, suite) for method, band in _table(f"bands of {cell}", fields).items()})


def _band(method: str, fields: object, suite: Suite) -> Band:
    if method not in suite.methods:
        raise did_you_mean("method of the suite", method, suite.methods)
    if not isinstance(fields, list) or len(fields) != 2 or not all(map(_is_number, fields)) or fields[0] > fields[1]:
        raise UserError(f"bands of {method} must be the least and the largest mean test score, as in [-110.0, -80.0]")
    return float(fields[0]), float(fields[1])


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and is_score(value)


def _table(name: str, fields: object) -> Mapping[str, Any]:
    if not isinstance(fields, dict):
        raise UserError(f"{name} is missing" if fields is None else f"{name} must be a table")
    return fields
