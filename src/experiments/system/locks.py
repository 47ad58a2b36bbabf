"""Locks that die with their process, on this machine's disks and on network file systems that know POSIX record locks."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import platform
from collections.abc import Iterator
from pathlib import Path

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
_held: dict[Path, int] = {}  # how often this process holds each file
os.register_at_fork(after_in_child=_held.clear)


@contextlib.contextmanager
def lock(path: Path) -> Iterator[None]:
    """Wait until no other process holds the file; the system lets go of it if the holder dies."""
    with open(path, "a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


class AtWork(Exception):
    """Another process holds a lock; the message says which, as far as it is known."""


@contextlib.contextmanager
def hold(path: Path) -> Iterator[bool]:
    """Keeps a file to this process while the block runs, and removes it afterwards; says whether the file system has locks.

    A record lock belongs to the process that took it: children that it forks do not keep it, and the system lets go of it when
    the process ends, however that happens. This process may take it again within.

    Raises:
        AtWork: when another process holds it.
        OSError: when the file cannot be made.
    """
    path = path.absolute()
    if path in _held:
        _held[path] += 1
        try:
            yield True
        finally:
            _held[path] -= 1
        return
    handle, locks = _take(path)
    _held[path] = 1
    try:
        yield locks
    finally:
        del _held[path]
        with contextlib.suppress(OSError):
            path.unlink()  # first, so that nobody takes what is about to go
        os.close(handle)


def _take(path: Path) -> tuple[int, bool]:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            locks = True
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                owner = os.pread(handle, 200, 0).decode(errors="replace").strip()
                os.close(handle)
                raise AtWork(owner or "an unknown process") from error
            locks = False
        except BaseException:
            os.close(handle)
            raise
        if _is_there(handle, path):  # else its last holder removed it just now
            with contextlib.suppress(OSError):  # such as a full disk
                os.ftruncate(handle, 0)
                os.pwrite(handle, f"process {os.getpid()} on {platform.node()}".encode(), 0)
            return handle, locks
        os.close(handle)


def _is_there(handle: int, path: Path) -> bool:
    try:
        return os.fstat(handle).st_ino == os.stat(path).st_ino
    except OSError:
        return False
