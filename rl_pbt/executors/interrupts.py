"""Ctrl-C, SIGTERM and SIGHUP, acted on only where a run can stop cleanly.

Python raises KeyboardInterrupt between any two instructions: inside a garbage collector's callback it is printed and lost,
while a worker process starts it leaves half a child, while things are closed it leaves them open. So a run notes a signal
whenever it comes and raises only where it waits for work.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

# SIGTERM too, since a shell starts background jobs with SIGINT ignored; and SIGHUP, of a terminal that is closed.
SIGNALS = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))

_noted = False
_listening = False


def _note(*_: object) -> None:
    global _noted  # noqa: PLW0603 - signal handlers belong to the process
    _noted = True
    if _listening:
        raise KeyboardInterrupt


def _outlives_its_terminal(number: int) -> bool:
    """Whether that is what nohup asked for."""
    return number == getattr(signal, "SIGHUP", None) and signal.getsignal(number) is signal.SIG_IGN


@contextmanager
def held() -> Iterator[None]:
    """Signals wait for the next `heard`, or for the end. Only the main thread may enter."""
    global _noted  # noqa: PLW0603
    _noted = False
    before = {number: signal.signal(number, _note) for number in SIGNALS if not _outlives_its_terminal(number)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if _noted:
        raise KeyboardInterrupt


@contextmanager
def heard() -> Iterator[None]:
    """Within, a signal that `held` noted, or one that comes, raises KeyboardInterrupt at once."""
    global _listening  # noqa: PLW0603
    _listening = True
    try:
        if _noted:
            raise KeyboardInterrupt
        yield
    finally:
        _listening = False
