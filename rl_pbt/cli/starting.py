"""Ctrl-C while packages are imported: nothing has begun yet, and torch does not tolerate an exception during its import."""

from __future__ import annotations

import signal


def end_at_once() -> None:
    """From here on, Ctrl-C ends the process silently; if it is ignored, as in the background, it stays ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def raise_again() -> None:
    """From here on, Ctrl-C raises KeyboardInterrupt again, because something has begun that must be cleaned up."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
