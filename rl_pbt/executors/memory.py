"""Memory that is freed and asked for again, as tensors are in every update, stays with a worker process."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

# Of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_KEPT = 32 * 2**20  # bytes of one array; glibc takes no more
MOST_KEPT = 2**30  # bytes


def keep_freed_memory() -> None:
    """Let the C library give nothing back to the system that will be wanted in a moment; does nothing but with glibc.

    It would give arrays of 128 kB back at once and be given empty pages for the next: a tenth of the time of a small network.
    """
    if not sys.platform.startswith("linux"):
        return
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
        mallopt(M_TRIM_THRESHOLD, MOST_KEPT)
