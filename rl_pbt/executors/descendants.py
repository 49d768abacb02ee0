"""Processes that a worker's environments started, such as game engines: none outlives the worker, or the run.

A worker has a process group of its own, and an entry in its environment that every program it starts inherits: engines that
leave the group, as daemons do, are found by it. The latter only where there is `/proc`, as on Linux.
"""

from __future__ import annotations

import os
import signal
import sys
import uuid
from contextlib import suppress
from pathlib import Path

MARK = "RL_PBT_WORKER"  # the entry's name


def begin(mark: str) -> None:
    """This process is a worker from now on, and what it starts belongs to it."""
    os.environ[MARK] = mark
    if sys.platform != "win32":
        os.setpgid(0, 0)


def new_mark() -> str:
    """One that no other worker has."""
    return uuid.uuid4().hex


def end(worker: int, mark: str) -> None:
    """Kill the group of a worker, dead or alive, and whatever bears its mark; of this process's own group, itself last."""
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
        with suppress(OSError):  # it ended, or is another user's
            if entry in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
    return found
