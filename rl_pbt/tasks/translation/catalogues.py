"""Where pairs of sentences come from: message catalogues of installed packages, and text files. No package is imported."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module, metadata
from pathlib import Path, PurePath
from types import ModuleType
from typing import Any, NamedTuple

from rl_pbt.errors import BadSetting, UserError

INSTALL = "pip install -e '.[translation]'"
CATALOGUES = (".po", ".mo")  # where a message is in both, the first one: it says which translations are doubtful
# Some catalogues have names for messages, and the English text in a comment, as Plone's.
DEFAULT = re.compile(r'^Default: "(.*)"$', re.DOTALL)


class Pair(NamedTuple):
    """A sentence and its translation."""

    source: str
    target: str


def needed(package: str) -> ModuleType:
    """An optional package. Raises UserError, with what installs it, where it is absent."""
    try:
        return import_module(package)
    except ImportError as error:
        raise UserError(f"the task translation needs the package {package}, which is not installed: {INSTALL}") from error


def pairs_of(corpus: Sequence[str], language: str) -> list[Pair]:
    """All that a corpus holds, as it is written. Raises UserError for what is not there, cannot be read, or holds nothing."""
    found: list[Pair] = []
    left = list(corpus)
    while left:
        entry = left.pop(0)
        path = Path(entry)
        if path.is_file() and path.suffix not in CATALOGUES:
            if not left or not Path(left[0]).is_file():
                raise BadSetting("corpus", f"needs two text files, of which {entry} would be the first: add its translation")
            found += _aligned(path, Path(left.pop(0)))
            continue
        found += _messages(entry, language)
    return found


def versions_of(corpus: Sequence[str]) -> dict[str, str]:
    """Version of each installed package among the entries of a corpus."""
    return {entry: metadata.version(entry) for entry in corpus if not Path(entry).exists()}


def _aligned(sources: Path, targets: Path) -> list[Pair]:
    """Two text files, line by line."""
    sides = [_lines(path) for path in (sources, targets)]
    if len(sides[0]) != len(sides[1]):
        raise BadSetting(
            "corpus", f"has {len(sides[0]):,} lines in {sources} and {len(sides[1]):,} in {targets}: each needs its translation"
        )
    return [Pair(*both) for both in zip(*sides, strict=True)]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split("\n")  # not splitlines, which breaks at rarer characters too
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting("corpus", f"cannot read {path}: {error}") from None


def _messages(entry: str, language: str) -> list[Pair]:
    """Of the catalogues in that language of a folder or a package, or of a file."""
    path = Path(entry)
    if path.is_file():
        files = [path]
    elif path.is_dir():
        # A folder may be the language's own, as in de/LC_MESSAGES: its last names count too.
        names = {one: Path(*path.parts[-2:], one.relative_to(path)) for one in path.rglob("*") if one.is_file()}
        files = _in_language(names, language)
    else:
        files = _in_language(_files_of(entry), language)
    if not files:
        raise BadSetting("corpus", f"cannot use {entry}: it has no message catalogue in the language {language!r}")
    return [pair for file in files for pair in _catalogue(file)]


def _files_of(package: str) -> dict[Path, PurePath]:
    """Of an installed package, wherever it put them, with the names that it calls them by."""
    try:
        files = metadata.files(package)
    except (metadata.PackageNotFoundError, ValueError):
        raise BadSetting(
            "corpus", f"names {package}, which is neither a file or a folder nor an installed package: {INSTALL}"
        ) from None
    if files is None:
        raise BadSetting("corpus", f"names {package}, whose installer kept no list of its files: name a folder instead")
    return {Path(str(file.locate())): file for file in files}


def _in_language(names: Mapping[Path, PurePath], language: str) -> list[Path]:
    """The catalogues of a language, in the order of their names: de/LC_MESSAGES/x.mo, de_DE/x.po or de.po, for de."""
    spoken = re.compile(rf"{re.escape(language)}([_-][A-Za-z]+)?")
    chosen: dict[PurePath, Path] = {}
    for suffix in CATALOGUES:
        for file, name in names.items():
            if name.suffix == suffix and any(map(spoken.fullmatch, (name.stem, *name.parts[:-1]))):
                chosen.setdefault(name.with_suffix(""), file)
    return [chosen[name] for name in sorted(chosen)]


def _catalogue(file: Path) -> Iterator[Pair]:
    """The translated messages of a file; of two forms, singular and plural, both."""
    polib = needed("polib")
    read = polib.pofile if file.suffix == ".po" else polib.mofile
    try:
        entries = read(str(file)).translated_entries()  # which are neither doubtful nor out of use
    except (OSError, ValueError, LookupError, struct.error) as error:
        raise BadSetting("corpus", f"cannot read {file}: {error}") from None
    for entry in entries:
        yield from _forms(entry)


def _forms(entry: Any) -> Iterator[Pair]:
    if entry.msgid_plural:
        of_one, *of_more = (entry.msgstr_plural[number] for number in sorted(entry.msgstr_plural))
        yield Pair(entry.msgid, of_one)
        if of_more:
            yield Pair(entry.msgid_plural, of_more[0])
    elif named := DEFAULT.match(entry.comment or ""):
        yield Pair(named[1].replace('\\"', '"'), entry.msgstr)
    else:
        yield Pair(entry.msgid, entry.msgstr)
