"""Packed files, whose size is looked at before their content takes memory."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

from experiments.system.memory import free_memory


class ContentTooLargeError(ValueError):
    """The content of a file takes more than the memory that is free."""


def unpacked(path: Path, largest: int | None = None) -> bytes:
    """Return the content of a file, unpacked where its name ends in .gz.

    Args:
        path: of the file.
        largest: bytes that it may have unpacked; None: half of the memory that is free.

    Raises:
        ValueError: when it has more.
        OSError, EOFError, zlib.error: when it cannot be read.
    """
    largest = free_memory() // 2 if largest is None else largest
    if not (path.is_file() or path.is_dir() or not path.exists()):
        raise ValueError("it is a pipe or a device, not a file")
    with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as file:
        parts, size = [], 0
        while part := file.read(1 << 20):
            size += len(part)
            if size > largest:
                raise ValueError(f"it has more than {largest:,} bytes{' unpacked' if path.suffix == '.gz' else ''}")
            parts.append(part)
    return b"".join(parts)


def refuse_too_large(path: Path) -> None:
    """Looks at what a zip file such as one of NumPy's, or a sheet of Excel, says that its content takes.

    Raises:
        ContentTooLargeError: when that is more than the free memory.
        OSError, zipfile.BadZipFile: when it cannot be read.
    """
    with zipfile.ZipFile(path) as archive:
        refuse_size(sum(item.file_size for item in archive.infolist()))


def refuse_size(size: int) -> None:
    """Looks at what a file says that its content takes.

    Raises:
        ContentTooLargeError: when that is more than the free memory.
    """
    if size > (free := free_memory()):
        raise ContentTooLargeError(f"its content takes {size / 1e9:.1f} GB, and {free / 1e9:.1f} GB of memory are free")
