"""Files of a run folder: durable when written, checked when read, and never outside the folder.

A run folder may come from somebody else, and archives can contain symbolic links. So nothing is written or deleted through a link
below the run folder.
"""

from __future__ import annotations

import json
import math
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rl_pbt.errors import UserError, against_disk_error
from rl_pbt.records import JSON, Fields

# Characters beyond 16 bits are escaped as two surrogates. A single one can be read from JSON, but not encoded again.
HALF = re.compile(rb"\\u[dD][89a-fA-F]")
DEEPEST = 50  # nested lists and objects
NO_LINKS = getattr(os, "O_NOFOLLOW", 0)  # if the system has it


@contextmanager
def disk_errors_in_one_line(path: Path) -> Iterator[None]:
    """Within, an OSError becomes a UserError about writing `path`."""
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}; {against_disk_error(error)}") from error


def write_durably(path: Path, content: bytes) -> None:
    """Write to a temporary name, fsync, rename: readers see the old file or the new one, never a part. Raises UserError."""
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
    """Make a rename in `folder` durable (on POSIX; Windows has no such call)."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_json(path: Path, value: Mapping[str, JSON]) -> None:
    """Write a JSON file; durable when this returns. Raises ValueError for NaN and infinities."""
    write_durably(path, (json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n").encode())


def read_toml(path: Path) -> tuple[bytes, dict[str, Any]]:
    """A file of the user's as it is, and as TOML. Raises UserError if it cannot be read or is not TOML, naming the line."""
    try:
        text = path.read_bytes()
        return text, tomllib.loads(text.decode("utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not TOML: {error}") from None


def read_json(path: Path) -> Fields:
    """The JSON object in a file. Raises UserError if the file is missing or is not one."""
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
    """The value of strict JSON: without NaN, infinities, duplicate names or lone surrogates, and not nested too deeply.

    Raises ValueError for anything else.
    """
    try:
        value = json.loads(text.decode(), parse_constant=_not_json, parse_float=_finite, object_pairs_hook=_once_each)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if text.count(b"[") + text.count(b"{") > DEEPEST and _depth(value) > DEEPEST:
        raise ValueError("nested too deeply")
    if HALF.search(text):
        json.dumps(value, ensure_ascii=False).encode()  # raises for a lone surrogate
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
    """The path `folder` / names. Raises UserError if any part below the folder is a symbolic link; it need not exist yet."""
    path = folder
    for name in names:
        path = path / name
        if path.is_symlink():
            raise UserError(f"{path} is a symbolic link: a run writes and deletes nothing outside its folder; replace the link")
    return path
