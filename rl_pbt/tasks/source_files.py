"""A file that somebody else keeps, as it was when looked at. A cache with this as its key reads a changed file again."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class File(NamedTuple):
    """A file's path, and what changes with its content."""

    path: Path
    size: int  # bytes
    mtime_ns: int


def file_at(path: Path) -> File:
    """The file at that path as it is now. Raises OSError if there is none."""
    status = path.stat()
    return File(path=path, size=status.st_size, mtime_ns=status.st_mtime_ns)
