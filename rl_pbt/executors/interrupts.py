"""Ctrl-C, SIGTERM and SIGHUP, acted on only where a run can stop cleanly.

Python raises KeyboardInterrupt between any two instructions. Inside a garbage collector's callback it is printed and lost;
while a worker process starts, it leaves a half-made child; while things are being closed, it leaves them open. So a run only
notes a signal when it arrives, and raises where it waits for work.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

# SIGTERM too, since a shell starts background jobs with SIGINT ignored; and SIGHUP, for a terminal that is closed.
SIGNALS = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))

_noted = False
_listening = False


def _note(*_: object) -> None:
    global _noted  # noqa: PLW0603 - signal handlers belong to the process
    _noted = True
    if _listening:
        raise KeyboardInterrupt


def _outlives_its_terminal(number: int) -> bool:
    """Whether the signal is SIGHUP and ignored, as nohup arranges."""
    return number == getattr(signal, "SIGHUP", None) and signal.getsignal(number) is signal.SIG_IGN


@contextmanager
def held() -> Iterator[None]:
    """Within, signals are held back until the next `heard`, or until the end. Only the main thread may enter.

    Raises KeyboardInterrupt at the end if a signal arrived within.
    """
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
    """Within, a signal raises KeyboardInterrupt at once; so does one that `held` has noted before."""
    global _listening  # noqa: PLW0603
    _listening = True
    try:
        if _noted:
            raise KeyboardInterrupt
        yield
    finally:
        _listening = False
