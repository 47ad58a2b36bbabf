"""Locks that die with their process, on this machine's disks and on network file systems that know POSIX record locks.

Windows has locks of its own, which nobody may read through: there a byte far behind the text is locked.
"""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    _BEHIND = 1 << 30

    def lock_file(handle: int, wait: bool = False, shared: bool = False) -> None:
        """Locks an open file, until it is closed; OSError where another process holds it and this one is not to wait."""
        while True:
            os.lseek(handle, _BEHIND, os.SEEK_SET)
            try:
                msvcrt.locking(handle, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
                return
            except OSError:  # which it says after ten seconds of waiting, too
                if not wait:
                    raise

    _lock_record = lock_file
else:
    import fcntl

    def lock_file(handle: int, wait: bool = False, shared: bool = False) -> None:
        """Locks an open file, until it is closed; OSError where another process holds it and this one is not to wait."""
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))

    def _lock_record(handle: int) -> None:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
_held: dict[Path, int] = {}  # how often this process holds each file
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_held.clear)


def open_lock(path: Path, flags: int = os.O_RDWR | os.O_CREAT) -> int:
    """Open the file of a lock. A link is not followed: in a folder from elsewhere it could name any file.

    Raises:
        OSError: when it cannot be opened, or is no plain file, such as a pipe, which would wait for a writer.
    """
    handle = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o644)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is no plain file", str(path))
    return handle


@contextlib.contextmanager
def lock(path: Path) -> Iterator[None]:
    """Wait until no other process holds the file; the system lets go of it if the holder dies.

    Raises:
        OSError: as `open_lock`.
    """
    handle = open_lock(path)
    try:
        lock_file(handle, wait=True)
        yield
    finally:
        os.close(handle)


def owner_of(handle: int) -> str:
    """Tell which process says in the file that it holds it; empty where none does."""
    os.lseek(handle, 0, os.SEEK_SET)
    return os.read(handle, 200).decode(errors="replace").strip()


def sign(handle: int) -> None:
    """Writes into a locked file which process holds it."""
    os.ftruncate(handle, 0)
    os.lseek(handle, 0, os.SEEK_SET)
    os.write(handle, f"process {os.getpid()} on {platform.node()}".encode())


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
        handle = open_lock(path)
        try:
            _lock_record(handle)
            locks = True
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                owner = owner_of(handle)
                os.close(handle)
                raise AtWork(owner or "an unknown process") from error
            locks = False
        except BaseException:
            os.close(handle)
            raise
        if _is_there(handle, path):  # else its last holder removed it just now
            with contextlib.suppress(OSError):  # such as a full disk
                sign(handle)
            return handle, locks
        os.close(handle)


def _is_there(handle: int, path: Path) -> bool:
    try:
        return os.fstat(handle).st_ino == os.stat(path).st_ino
    except OSError:
        return False
