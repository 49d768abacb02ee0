"""Where pairs of sentences come from: message catalogues of installed packages, and text files. No package is imported."""

from __future__ import annotations

import codecs
import os
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module, metadata
from itertools import count
from pathlib import Path, PurePath
from types import ModuleType
from typing import Any, NamedTuple, NoReturn, TypeAlias

import numpy as np

from rl_pbt.errors import BadSetting, UserError
from rl_pbt.tasks.source_files import File, file_at
from rl_pbt.tasks.translation.options import PACKAGES

INSTALL = "pip install -e '.[translation]'"
CATALOGUES = (".po", ".mo")  # of two files with one name, the first: it says which translations are doubtful
# Some catalogues, such as Plone's, have names for messages, and the English text in a comment.
DEFAULT = re.compile(r'^Default: "(.*)"$', re.DOTALL)
CONTENT_TYPE, CHARSET = b"Content-Type:", re.compile(rb" charset=([\w:.-]+)")
LITTLE_ENDIAN = b"\xde\x12\x04\x95"  # how such a compiled catalogue begins
LARGEST = 100_000_000  # bytes of a corpus: about a million sentences in both languages
MOST_FILES = 20_000  # in folders of a corpus: enough for all of an installation's catalogues, not for a whole disk


class Pair(NamedTuple):
    """A sentence and its translation."""

    source: str
    target: str


Files: TypeAlias = tuple[tuple[File, ...], ...]  # in the order of a corpus: catalogues one by one, text files two by two


def needed(package: str) -> ModuleType:
    """An optional package, imported. Raises UserError, which says how to install it, if it is absent."""
    try:
        return import_module(package)
    except ImportError as error:
        raise UserError(f"the task translation needs the package {package}, which is not installed: {INSTALL}") from error


def absolute(entry: str) -> str:
    """An entry of a corpus: a package by its name, an existing file or folder by its absolute path. Raises BadSetting."""
    with _reading(entry):
        return entry if is_package(entry) or not Path(entry).exists() else str(Path(entry).absolute())


def is_package(entry: str) -> bool:
    """Whether an entry of a corpus names an installed package, which wins over a file of that name: `./gramps` is the file.

    Raises BadSetting for an empty entry.
    """
    if not entry.strip():
        raise BadSetting("corpus", "must not have an empty entry: name packages, files or folders")
    if set(entry) & {os.sep, os.altsep}:
        return False
    try:
        metadata.distribution(entry)
    except (metadata.PackageNotFoundError, ValueError):
        return False
    return True


def versions_of(corpus: Sequence[str]) -> dict[str, str]:
    """Version of each installed package among the entries of a corpus."""
    return {entry: metadata.version(entry) for entry in corpus if is_package(entry)}


def in_language(packages: Sequence[str], language: str) -> tuple[str, ...]:
    """Those of the packages that have catalogues in a language; also those that are not installed, which are not known to have
    none. Raises BadSetting if none is left.
    """
    with _reading("the list of a package's files"):
        left = tuple(one for one in packages if not is_package(one) or _in_language(_files_of_package(one), language))
    if not left:
        raise BadSetting(
            "language", f"cannot be {language!r}, in which none of {', '.join(packages)} has a message catalogue: name a corpus"
        )
    return left


def files_of(corpus: Sequence[str], language: str) -> Files:
    """The files that a corpus is read from. Raises BadSetting for what is missing, cannot be looked at, or is too much."""
    found: list[tuple[File, ...]] = []
    left, looked_at = list(corpus), count(1)
    while left:
        entry = left.pop(0)
        with _reading(entry):
            if not _is_text(entry):
                found += [(file_at(path),) for path in _catalogues_of(entry, language, looked_at)]
            elif left and _is_text(left[0]):
                found.append((file_at(Path(entry)), file_at(Path(left.pop(0)))))
            else:
                raise BadSetting("corpus", f"needs two text files, of which {entry} would be the first: add its translation")
    if (size := sum(file.size for files in found for file in files)) > LARGEST:
        raise BadSetting("corpus", f"has {size:,} bytes, of which {LARGEST:,} can be read: name fewer or smaller files")
    return tuple(found)


def pairs_of(files: Files) -> list[Pair]:
    """All pairs that these files hold, as they are written. Raises UserError for what cannot be read."""
    return [pair for one in files for pair in (_aligned(*one) if len(one) == 2 else _catalogue(one[0]))]


@contextmanager
def _reading(what: str | Path) -> Iterator[None]:
    """Any error within becomes one line that names the file: a corpus is the user's, or comes from a folder that was sent."""
    try:
        yield
    except (OSError, ValueError, LookupError, struct.error) as error:
        path, why = (error.filename, error.strerror) if isinstance(error, OSError) else (None, None)
        raise BadSetting("corpus", f"cannot read {path or what}: {why or error}") from None


def _aligned(sources: File, targets: File) -> list[Pair]:
    """Two text files, line by line."""
    sides = [_lines(file) for file in (sources, targets)]
    if len(sides[0]) != len(sides[1]):
        raise BadSetting(
            "corpus",
            f"has {len(sides[0]):,} lines in {sources.path} and {len(sides[1]):,} in {targets.path}: each needs its translation",
        )
    return [Pair(*both) for both in zip(*sides, strict=True)]


def _lines(file: File) -> list[str]:
    with _reading(file.path), file.path.open(encoding="utf-8") as stream:
        return stream.read(file.size).split("\n")  # not splitlines, which breaks at rarer characters too


def _is_text(entry: str) -> bool:
    return not is_package(entry) and Path(entry).is_file() and Path(entry).suffix not in CATALOGUES


def _catalogues_of(entry: str, language: str, looked_at: Iterator[int]) -> list[Path]:
    """The file itself, or the catalogues in that language of a folder or a package."""
    path = Path(entry)
    if is_package(entry):
        files = _in_language(_files_of_package(entry), language)
    elif path.is_dir():
        files = _in_language(_files_below(path, looked_at), language)
    elif path.is_file():
        files = [path]
    else:
        raise BadSetting(
            "corpus", f"names {entry}, which is neither a file or a folder nor an installed package: {_way_out(entry)}"
        )
    if not files:
        raise BadSetting("corpus", f"cannot use {entry}: it has no message catalogue in the language {language!r}")
    return files


def _way_out(entry: str) -> str:
    """What to do about an entry of a corpus that is not there."""
    if Path(entry).name != entry:
        return "say where it lies now"
    return INSTALL if entry in PACKAGES else f"if it is a package, pip install {entry}"


def _files_below(path: Path, looked_at: Iterator[int]) -> dict[Path, PurePath]:
    """Catalogues below a folder, with the paths that tell their languages. Raises BadSetting after MOST_FILES of any kind."""
    found: dict[Path, PurePath] = {}
    for where, _, names in os.walk(path, onerror=_raised):
        for one in (Path(where, name) for name in ("", *names)):
            if next(looked_at) > MOST_FILES:
                raise BadSetting("corpus", f"names more than {MOST_FILES:,} files, with {path}: name folders inside it")
            if one.suffix in CATALOGUES and one.is_file():
                # The folder may itself be that of a language, as de/LC_MESSAGES is, so its last names count too.
                found[one] = Path(*path.parts[-2:], one.relative_to(path))
    return found


def _raised(error: OSError) -> NoReturn:
    raise error


def _files_of_package(package: str) -> dict[Path, PurePath]:
    """The files of an installed package: the path of each, and its name within the package."""
    files = metadata.files(package)
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


def _catalogue(file: File) -> Iterator[Pair]:
    """The translated messages of a file; if one has singular and plural, both forms."""
    polib = needed("polib")
    with _reading(file.path):
        with file.path.open("rb") as stream:
            content = stream.read(file.size)
        if file.path.suffix == ".mo":
            _check_compiled(content)
        read = polib.pofile if file.path.suffix == ".po" else polib.mofile
        found = read(str(file.path), encoding=_encoding_of(content))
        entries = found.translated_entries()  # neither doubtful (fuzzy) nor out of use
    for entry in entries:
        yield from _forms(entry)


def _encoding_of(content: bytes) -> str:
    """What the header names. polib finds the same, but a line of 200 kB can take it twenty seconds, and a longer one hours."""
    for line in content.split(b"\n"):
        if CONTENT_TYPE in line and (named := CHARSET.search(line, line.index(CONTENT_TYPE))):
            with suppress(LookupError):
                return codecs.lookup(named[1].decode("ascii")).name
    return "utf-8"


def _check_compiled(content: bytes) -> None:
    """Raises ValueError for a catalogue whose strings overlap: a small file could claim to hold more than fits into memory."""
    order = "<" if content.startswith(LITTLE_ENDIAN) else ">"
    number, *tables = struct.unpack_from(f"{order}3I", content, 8)
    lengths = [np.frombuffer(content, f"{order}u4", 2 * number, table)[::2] for table in tables]
    if sum(int(of_table.sum(dtype=np.uint64)) for of_table in lengths) > len(content):
        raise ValueError("its strings overlap")


def _forms(entry: Any) -> Iterator[Pair]:
    if entry.msgid_plural:
        # If a translator gave a single form, without its number, it is where messages without a plural have theirs.
        forms = [entry.msgstr_plural[number] for number in sorted(entry.msgstr_plural)] or [entry.msgstr]
        yield from map(Pair, (entry.msgid, entry.msgid_plural), forms)
    elif named := DEFAULT.match(entry.comment or ""):
        yield Pair(named[1].replace('\\"', '"'), entry.msgstr)
    else:
        yield Pair(entry.msgid, entry.msgstr)
