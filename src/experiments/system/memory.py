"""How much memory there is, and sentences for what would not fit."""

from __future__ import annotations

import os
from pathlib import Path

from experiments.errors import UserError

_UNKNOWN = 4 << 30  # bytes that are taken where the system does not say what is free
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # of a container


def free_memory() -> int:
    """Bytes of memory that are free, as far as the system says."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    except (OSError, ValueError, IndexError):
        pass
    return (total_memory() or 2 * _UNKNOWN) // 2


def total_memory() -> int | None:
    """Bytes of memory that a process may have here; None where the system does not say."""
    limits = []
    try:
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (OSError, ValueError, AttributeError):
        return None
    for name in _LIMITS:
        try:
            limits.append(int(Path(name).read_text(encoding="ascii")))
        except (OSError, ValueError):  # no container, or one without a limit
            continue
    return min(limits)


def require_memory(size: float, what: str, cure: str) -> None:
    """Refuse what takes more memory than this machine has.

    Args:
        size: bytes that are needed.
        what: that takes them, as the beginning of a sentence.
        cure: what to do about it.

    Raises:
        UserError: when there is less.
    """
    there = total_memory()
    if there is not None and size > there:
        raise UserError(
            f"{what} takes {size / 1e9:,.0f} GB of memory and this machine has {there / 1e9:,.0f} GB: {cure}"
        )
