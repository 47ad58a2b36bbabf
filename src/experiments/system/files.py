"""Files that are whole or absent."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Gives a fresh name in the folder of `path` to write to, and renames it to `path` when all went well.

    Raises:
        OSError: when the folder cannot be made or written to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    temporary.unlink()  # some writers (links) need the name to be free
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def lock(path: Path) -> Iterator[None]:
    """Wait until no other process holds the file; the system lets go of it if the holder dies."""
    with open(path, "a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def link_or_copy(source: Path, target: Path) -> None:
    """A second name for a file that is never written in place; a copy where the file system has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def digest(files: Iterable[Path]) -> str:
    """Hexadecimal digits that differ when the contents of some files do; those that are not there count as empty."""
    found = hashlib.sha256()
    for file in files:
        with contextlib.suppress(OSError):
            found.update(file.read_bytes())
    return found.hexdigest()


def write_text(path: Path, text: str) -> None:
    """Writes a whole text file, or leaves what was there."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Writes a whole JSON file, or leaves what was there."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
