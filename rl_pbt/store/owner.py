"""One owner of a folder at a time: a lock that the kernel frees when its holder ends, however it ends.

It is a POSIX record lock, which belongs to a process and is not inherited by its children. The locks of the usual libraries
(flock) are inherited: a program started by an environment would keep the run locked after we were killed. A record lock does
not separate the threads of one process, and closing any descriptor of the file frees it. So this process keeps a list of the
locks it holds, and never opens those files again.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import final

from rl_pbt.errors import UserError

RUN_LOCK = ".lock"
_LOCKED_BYTE = 1 << 30  # far beyond the note, so that others can read the note
_LONGEST_NOTE = 1000  # bytes

_held: set[tuple[int, int]] = set()  # the files that this process has locked, by device and inode
_guard = threading.Lock()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The process that holds a lock; fields are None if its note does not give them."""

    pid: int | None = None
    host: str | None = None

    def __str__(self) -> str:
        return "another process" if self.pid is None else f"process {self.pid} on {self.host}"


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Within, hold the lock of an existing folder.

    Raises UserError, which names the holder, if another holds it, and if the lock file cannot be written.
    """
    descriptor = _locked(folder / RUN_LOCK)
    if descriptor is None:
        raise UserError(f"{folder} is in use by {holder(folder) or Holder()}: wait until it has ended, or stop it first")
    try:
        _write_note(descriptor)
        yield
    finally:
        with _guard:
            _held.discard(_identity(descriptor))
            os.close(descriptor)  # which frees the lock


def holder(folder: Path) -> Holder | None:
    """The holder of a folder's lock; None if it is free."""
    path = folder / RUN_LOCK
    with _guard:
        try:
            if _identity(path) in _held:
                return Holder(pid=os.getpid(), host=socket.gethostname())
            descriptor = _opened(path, os.O_RDWR)
        except OSError:
            return None  # there is no lock file, or we may not write it: a process that may will find out
        try:
            return None if _try_to_lock(descriptor) else _note(descriptor)
        finally:
            os.close(descriptor)


def _locked(path: Path) -> int | None:
    """A descriptor that holds the lock; None if it is held already."""
    with _guard:
        try:
            if path.exists() and _identity(path) in _held:
                return None
            descriptor = _opened(path, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}; choose another folder") from None
        if not _try_to_lock(descriptor):
            os.close(descriptor)
            return None
        _held.add(_identity(descriptor))
        return descriptor


def _opened(path: Path, flags: int) -> int:
    """Open a file without following links: a folder may come from somebody else."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def _identity(file: int | Path) -> tuple[int, int]:
    status = os.stat(file, follow_symlinks=isinstance(file, int))
    return status.st_dev, status.st_ino


def _write_note(descriptor: int) -> None:
    note = json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode()
    with suppress(OSError):  # a full disk is no reason to stop: the note only informs others
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, note)


def _note(descriptor: int) -> Holder:
    os.lseek(descriptor, 0, os.SEEK_SET)
    try:
        fields = json.loads(os.read(descriptor, _LONGEST_NOTE))
        return Holder(pid=int(fields["pid"]), host=str(fields["host"])[:100])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return Holder()


if sys.platform == "win32":
    import msvcrt

    def _try_to_lock(descriptor: int) -> bool:
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_to_lock(descriptor: int) -> bool:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _LOCKED_BYTE)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                return False
            # Some cluster file systems have no locks; running without one is better than not at all.
            warnings.warn(f"files cannot be locked here ({error.strerror}): start no second run in this folder", stacklevel=3)
        return True
