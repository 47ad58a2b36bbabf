"""Freed memory stays with the process, ready for the next batch."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys


def keep_freed_memory() -> None:
    """Tells glibc to keep freed memory in the process. Skipped where malloc is already tuned, and with another C library.

    By default glibc gives large blocks back to the kernel, which then clears every page of the next batch's: almost half
    the time of the first convolutions on photographs.
    """
    if not sys.platform.startswith("linux") or any(key.startswith(("MALLOC_", "GLIBC_TUNABLES")) for key in os.environ):
        return
    no_maps, trim_above = -4, -1  # M_MMAP_MAX and M_TRIM_THRESHOLD of mallopt(3)
    with contextlib.suppress(OSError, AttributeError):  # another C library
        libc = ctypes.CDLL(None)
        libc.mallopt(no_maps, 0)
        libc.mallopt(trim_above, -1)  # never
