"""Stand-ins for parts of Lightning, torch and Python, each a file that a library's upgrade can break.

Each file says what it replaces, the private names it touches, what it gains with the command that measures it,
and what happens when the library changes. `EXPERIMENTS_PLAIN=1` turns all of them off; a run's record lists those
that were on.
"""

from __future__ import annotations

import os

_used: set[str] = set()


def wanted() -> bool:
    """Tell whether stand-ins may be used: not under EXPERIMENTS_PLAIN=1."""
    return os.environ.get("EXPERIMENTS_PLAIN", "") in ("", "0")


def used(name: str) -> None:
    """Notes that a stand-in is on in this process."""
    _used.add(name)


def in_use() -> list[str]:
    """Names of the stand-ins that are on in this process."""
    return sorted(_used)
