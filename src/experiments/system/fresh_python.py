"""Python started anew: a module of this package in a process of its own, where that looks for imports, and how it reads names."""

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


def read_names_as_utf8() -> None:
    """Start this command anew in Python's UTF-8 mode, where it was told to take names of files as ASCII.

    That is so with `LC_ALL=C PYTHONUTF8=0`: letters of folders and classes would be no text that can be written down. What is
    printed keeps its encoding. https://peps.python.org/pep-0540/
    """
    if os.name == "posix" and sys.getfilesystemencoding() == "ascii":
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | {"PYTHONUTF8": "1"})
