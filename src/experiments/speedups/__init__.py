"""Stand-ins for parts of Lightning, torch and Python, each a file that a library's upgrade can break.

Each file says what it replaces, the private names it touches, what it gains with the command that measures it,
and what happens when the library changes. `EXPERIMENTS_PLAIN=1` turns all of them off; a run's record lists those
that were on, and one that finds its library changed stays off and says so once.
"""

from __future__ import annotations

import os

_used: set[str] = set()
_unknown: set[str] = set()  # whose sentence was said


def wanted() -> bool:
    """Tell whether stand-ins may be used: not under EXPERIMENTS_PLAIN=1."""
    return os.environ.get("EXPERIMENTS_PLAIN", "") in ("", "0")


def used(name: str) -> None:
    """Notes that a stand-in is on in this process."""
    _used.add(name)


def in_use() -> list[str]:
    """Names of the stand-ins that are on in this process."""
    return sorted(_used)


def unknown(name: str, cause: str) -> None:
    """Says, once a process, that a stand-in is off because a library is not as it expects.

    Args:
        name: of the stand-in.
        cause: what is missing or not known, and what it costs.
    """
    if name not in _unknown:
        _unknown.add(name)
        import logging  # not before somebody has something to say

        logging.getLogger(__name__).warning(
            "the speed-up %s is off, and results are the same: %s; EXPERIMENTS_PLAIN=1 leaves this line out.",
            name,
            cause,
        )
