"""A file that somebody else keeps, as it lay there when it was looked at: a cache whose key it is reads a changed one again."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class File(NamedTuple):
    """What changes with its content."""

    path: Path
    size: int  # bytes
    mtime_ns: int


def file_at(path: Path) -> File:
    """Raises OSError where there is none."""
    status = path.stat()
    return File(path=path, size=status.st_size, mtime_ns=status.st_mtime_ns)
