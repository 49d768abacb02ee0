"""Keeping freed memory in a worker process, since it is soon asked for again: tensors are freed and allocated in every update."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

# From glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_KEPT = 32 * 2**20  # bytes, of one array; the largest value that glibc accepts
MOST_KEPT = 2**30  # bytes


def keep_freed_memory() -> None:
    """Keep the C library from returning memory to the system that will be needed again in a moment; only on Linux with glibc.

    By default it returns arrays of 128 kB and more at once, and gets empty pages for the next: a tenth of a small network's time.
    """
    if not sys.platform.startswith("linux"):
        return
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
        mallopt(M_TRIM_THRESHOLD, MOST_KEPT)
