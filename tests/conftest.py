"""What holds for all tests."""

from __future__ import annotations

import signal

import pytest

NIGHTLY_S = 3000.0  # a sweep may take so long, beside others on two cores


def pytest_configure(config: pytest.Config) -> None:
    """Signals are as in a terminal: under nohup, or in the background of a shell, some are ignored, which a run heeds."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What runs at night may take its time."""
    for item in items:
        if item.get_closest_marker("nightly"):
            item.add_marker(pytest.mark.timeout(NIGHTLY_S), append=False)
