"""Processes that a worker's environments started, such as game engines: none of them outlives the worker or the run.

A worker has its own process group, and an environment variable that every program it starts inherits. Engines that leave the
group, as daemons do, are found by that variable, but only where there is a `/proc`, as on Linux.
"""

from __future__ import annotations

import os
import signal
import sys
import uuid
from contextlib import suppress
from pathlib import Path

MARK = "RL_PBT_WORKER"  # the environment variable


def begin(mark: str) -> None:
    """Make this process a worker: from now on, everything it starts belongs to it."""
    os.environ[MARK] = mark
    if sys.platform != "win32":
        os.setpgid(0, 0)


def new_mark() -> str:
    """A mark that no other worker has."""
    return uuid.uuid4().hex


def end(worker: int, mark: str) -> None:
    """Kill a worker's process group, whether it is alive or dead, and every process that has its mark.

    Called by the worker itself, it ends this process last.
    """
    if sys.platform == "win32":
        return
    for pid in _marked(mark):
        if pid not in (worker, os.getpid()):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(worker, signal.SIGKILL)


def _marked(mark: str) -> list[int]:
    entry = f"{MARK}={mark}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or belongs to another user
            if entry in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
    return found
