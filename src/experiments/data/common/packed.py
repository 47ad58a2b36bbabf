"""Packed files, whose size is looked at before their content takes memory."""

from __future__ import annotations

import gzip
import os
import zipfile
from pathlib import Path

_UNKNOWN = 4 << 30  # bytes that are taken where the system does not say what is free


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
    """Looks at what a zip file such as one of NumPy's says that its content takes.

    Raises:
        ValueError: when that is more than the free memory.
        OSError, zipfile.BadZipFile: when it cannot be read.
    """
    with zipfile.ZipFile(path) as archive:
        size = sum(item.file_size for item in archive.infolist())
    if size > (free := free_memory()):
        raise ValueError(f"its content takes {size / 1e9:.1f} GB, and {free / 1e9:.1f} GB of memory are free")


def free_memory() -> int:
    """Bytes of memory that are free, as far as the system says."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (OSError, ValueError, AttributeError):
        return _UNKNOWN
