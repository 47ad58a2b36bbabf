"""Modules of this package in a process of their own, and where such a process looks for what it imports."""

from __future__ import annotations

import os
import sys


def python_module(name: str, *words: str) -> list[str]:
    """Return the words that start a module in a fresh Python where no file of the current folder hides a package.

    The module calls `look_here_last`, for user-defined packages.
    """
    return [sys.executable, "-P", "-m", name, *words]


def look_here_last() -> None:
    """Has imports look into the current folder after all others, also after `python -m`, which has them look there first."""
    here = os.getcwd()
    sys.path[:] = [*(place for place in sys.path if place not in ("", here)), here]
