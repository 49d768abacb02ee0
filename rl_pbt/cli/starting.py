"""Ctrl-C while packages are imported: nothing has begun, and torch does not bear an exception in its import."""

from __future__ import annotations

import signal


def end_at_once() -> None:
    """Ctrl-C ends the process without a word from here on; where it is ignored, as in the background, it remains so."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def raise_again() -> None:
    """Ctrl-C raises KeyboardInterrupt again: something has begun that must be put away."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
