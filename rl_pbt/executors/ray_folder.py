"""The folder of a Ray instance started for one run: its sockets and logs, removed at the end or, after a kill, at a later start.

The kernel frees the lock of a folder however its process ends, so a folder that is not locked has no owner. A process number
would not do: each container has its own numbers, but containers may share /tmp.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import final

from rl_pbt.store.owner import RUN_LOCK, holder, owned

ROOT = Path("/tmp" if os.name == "posix" else tempfile.gettempdir())  # the paths of sockets must be short
PREFIX = "rl_pbt-ray-"
LEAST_AGE_S = 60.0  # of a stale folder: a younger one may be about to be locked


@final
class RayFolder:
    """A new folder, locked by this process; folders left by killed processes are removed first. Raises UserError."""

    def __init__(self) -> None:
        _remove_stale()
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=ROOT))
        self._lock = ExitStack()
        self._lock.enter_context(owned(self.path))

    def remove(self) -> None:
        """Remove the folder, after Ray has ended."""
        self._lock.close()
        shutil.rmtree(self.path, ignore_errors=True)


def _remove_stale() -> None:
    for path in ROOT.glob(f"{PREFIX}*"):
        with suppress(OSError):  # it may disappear meanwhile, or belong to another user
            if _is_stale(path):
                shutil.rmtree(path, ignore_errors=True)


def _is_stale(path: Path) -> bool:
    """Whether it belongs to this user, is old enough, and was locked once but no longer is."""
    status = path.lstat()
    ours = path.is_dir() and not path.is_symlink() and (os.name != "posix" or status.st_uid == os.getuid())
    old = time.time() - status.st_mtime > LEAST_AGE_S
    return ours and old and (path / RUN_LOCK).is_file() and holder(path) is None
