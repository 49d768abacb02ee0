"""Files of a run folder: durable when written, checked when read, and never outside the folder.

A run folder may come from somebody else, and archives carry symbolic links: what we write or delete lies in real folders, all the
way down from the run folder, or nowhere.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rl_pbt.errors import UserError
from rl_pbt.records import JSON, Fields

# Characters beyond 16 bits are written as two halves, of which one alone can be read, and never be written again.
HALF = re.compile(rb"\\u[dD][89a-fA-F]")
DEEPEST = 50  # lists and objects one inside the other
NO_LINKS = getattr(os, "O_NOFOLLOW", 0)  # where the system knows it


@contextmanager
def disk_errors_in_one_line(path: Path) -> Iterator[None]:
    """Raise UserError for what the disk refuses."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror or error}; free space or choose another folder, then resume"
        ) from error


def write_durably(path: Path, content: bytes) -> None:
    """Write to a temporary name, fsync, rename: readers see the old file or the new one, never a part."""
    with disk_errors_in_one_line(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with open(temporary, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable (POSIX; Windows has no such call)."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_json(path: Path, value: Mapping[str, JSON]) -> None:
    """A JSON file, durable when this returns."""
    write_durably(path, (json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Fields:
    """Raises UserError where the file is absent or not a JSON object."""
    try:
        value = parsed(path.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}): restore it from a copy") from None
    if not isinstance(value, dict):
        raise UserError(f"{path} is damaged: it is not a JSON object")
    return value


def parsed(text: bytes) -> object:
    """The value of strict JSON: no NaN, no infinity, no name twice, no half of a character, no depth without end.

    Raises ValueError for anything else.
    """
    try:
        value = json.loads(text.decode(), parse_constant=_not_json, parse_float=_finite, object_pairs_hook=_once_each)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if text.count(b"[") + text.count(b"{") > DEEPEST and _depth(value) > DEEPEST:
        raise ValueError("nested too deeply")
    if HALF.search(text):
        json.dumps(value, ensure_ascii=False).encode()  # or it raises
    return value


def _depth(value: object) -> int:
    depth, inside = 0, [value]
    while inside:
        depth += 1
        entries = (outer.values() if isinstance(outer, dict) else outer for outer in inside if isinstance(outer, dict | list))
        inside = [entry for several in entries for entry in several]
    return depth


def _not_json(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _not_json(text)


def _once_each(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name stands twice")
    return fields


def check_inside(folder: Path, *names: str) -> Path:
    """`folder` / names, of which no part below the folder is a symbolic link. Raises UserError where one is.

    What does not exist yet is fine.
    """
    path = folder
    for name in names:
        path = path / name
        if path.is_symlink():
            raise UserError(f"{path} is a symbolic link: a run writes and deletes nothing outside its folder; replace the link")
    return path
