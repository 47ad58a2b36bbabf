"""Files that are whole or absent, and stay so after a power cut."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from experiments.system.bounded_files import open_plain
from experiments.system.memory import free_memory

_TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}")  # the names that `atomic_path` writes to
FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Gives a fresh name in the folder of `path` to write to, and renames it to `path` when all went well.

    The content is on the disk before the name is, and the name before this returns: a power cut leaves the old file or the
    new one.

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
        synchronise(temporary)
        os.replace(temporary, path)
        synchronise(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def synchronise(path: Path) -> None:
    """Has the system write a file, or the names in a folder, to the disk; where it cannot, nothing is promised."""
    if os.name == "nt" and path.is_dir():  # whose names Windows lets nobody write by hand
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno in (*FULL, errno.EIO):  # some file systems say only now that it was not written
            raise
    finally:
        os.close(handle)


def remove_leftovers(*folders: Path) -> list[Path]:
    """Removes what killed writers left half-written in some folders; gives their paths.

    To be called by whoever holds the lock of these folders.
    """
    paths = [path for folder in folders if folder.is_dir() for path in folder.iterdir()]
    left = [path for path in paths if _TEMPORARY.fullmatch(path.name) and path.is_file()]
    for path in left:
        path.unlink(missing_ok=True)
    return left


def damage(path: Path) -> str | None:
    """Return what is wrong with a file that torch wrote, by the checksums inside it; None where nothing is, or it has
    none.
    """
    if not zipfile.is_zipfile(path):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(item.file_size for item in archive.infolist())
            if (
                size > max(2 * path.stat().st_size, 1 << 20) and size > (free := free_memory()) // 4
            ):  # torch packs nothing
                return f"it takes {size / 1e9:.1f} GB unpacked, and {free / 1e9:.1f} GB of memory are free"
            bad = archive.testzip()
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        return str(error)
    return None if bad is None else f"the checksum of its part {bad.rpartition('/')[2]} does not fit"


def link_or_copy(source: Path, target: Path) -> None:
    """A second name for a file that is never written in place; a copy where the file system has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def digest(files: Iterable[Path]) -> str:
    """Hexadecimal digits that differ when the contents of some files do; those that are not there count as empty."""
    sha256 = hashlib.sha256()
    for file in files:
        with contextlib.suppress(OSError), open_plain(file) as opened:
            while part := opened.read(1 << 20):
                sha256.update(part)
    return sha256.hexdigest()


def in_the_way(folder: Path, names: Iterable[str]) -> str | None:
    """Return a sentence with what keeps files of some names from being written into a folder of a run; None where nothing does."""
    if not folder.is_dir():
        there = os.path.lexists(folder)  # a link that leads nowhere too
        return f"{folder} is no folder, and checkpoints go there: remove it, or restore the folder" if there else None
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return f"{folder} cannot be read and written to, and files of a run go there: allow it, as with chmod u+rwx, or copy the run"
    other = next((folder / name for name in names if (folder / name).is_dir()), None)
    return f"{other} is a folder, where a file belongs: remove it, or restore the file" if other else None


def is_full(error: BaseException) -> bool:
    """Tell whether an error says that a disk has no room left."""
    return (isinstance(error, OSError) and error.errno in FULL) or "No space left on device" in str(error)


def write_text(path: Path, text: str) -> None:
    """Writes a whole text file, or leaves what was there.

    Bytes of file names that are no UTF-8 are written as `\\udce9`, which JSON reads back as they were.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path, value: Any) -> None:
    """Writes a whole JSON file, or leaves what was there."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
