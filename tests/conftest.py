"""What holds for all tests."""

from __future__ import annotations

import os
import signal

import pytest

# A process a core runs tests: more threads would only take turns, and small products would wait for them. Read when the libraries
# are loaded, by the processes that tests start, too.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

# What a test writes need not outlive a loss of power, for which a disk would be waited for thousands of times.
os.fsync = lambda _: None  # type: ignore[assignment]

NIGHTLY_S = 3000.0  # a sweep may take so long, beside others on two cores


def pytest_configure(config: pytest.Config) -> None:
    """Signals are as in a terminal: under nohup, or in the background of a shell, some are ignored, which a run heeds."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Half as many again as there are cores: for a third of the time tests wait for processes that they have started."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores + cores // 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What runs at night may take its time."""
    for item in items:
        if item.get_closest_marker("nightly"):
            item.add_marker(pytest.mark.timeout(NIGHTLY_S), append=False)
