"""A folder of memory-mapped files: whole or absent, made once by whoever comes first, the oldest removed when it is full."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import torch
from torch import Tensor

from experiments.batches import Sequences
from experiments.errors import first_line
from experiments.system.bounded_files import open_plain
from experiments.system.files import atomic_path
from experiments.system.locks import lock
from experiments.transfer.ragged import Ragged, RaggedWriter

log = logging.getLogger(__name__)

_HEAD = 4096  # bytes before the first array: JSON, filled up with blanks
_SUFFIX = ".features"


Batch = tuple[Tensor | Sequences, Tensor]  # what the stages give, and the targets


class Kept(NamedTuple):
    """Holds what a model's first stages made of the examples of one split, and their targets; both on disk, not in memory.

    Attributes:
        values: (views · N, …), the first view of all examples before the second; of sequences as many rows of unequal
            length.
        targets: (views · N, …); rows of unequal length where each sequence has several.
    """

    values: Tensor | Ragged
    targets: Tensor | Ragged

    @property
    def examples(self) -> int:
        """Views · N."""
        return len(self.targets.lengths if isinstance(self.targets, Ragged) else self.targets)


class TooLargeError(Exception):
    """What would be kept does not fit; the message is half a sentence."""


class Cache:
    """Features by key.

    Args:
        folder: where the files lie; made when needed.
        gigabytes: of all files together; beyond it those go that were used longest ago.
    """

    def __init__(self, folder: str | Path, gigabytes: float) -> None:
        self.folder, self.limit = Path(folder).expanduser(), gigabytes * 1e9

    def has(self, key: str) -> bool:
        return self._path(key).exists()

    def get(
        self, key: str, examples: int, batches: Callable[[], Iterable[Batch]], order: np.ndarray | None = None
    ) -> tuple[Kept, bool]:
        """Return what is kept under a key, and whether it was there before; made by one process while others wait.

        Args:
            key: letters and digits.
            examples: rows of all batches together.
            batches: gives values and targets.
            order: (examples,) int64, the number of each row that comes; None: they come in order.

        Raises:
            TooLargeError: when it would not fit.
            OSError: when the folder cannot be written to.
        """
        stored = self._read(key)
        if stored is not None:
            self._make_room(key)  # the limit may have been lowered since
            return stored, True
        self.folder.mkdir(parents=True, exist_ok=True)
        with lock(self.folder / f"{key}.lock"):
            stored = self._read(key)  # another process may have made it while this one waited
            if stored is not None:
                return stored, True
            path = self._path(key)
            for stale in self.folder.glob(f".{path.name}.*"):  # whoever held the lock before was killed
                stale.unlink(missing_ok=True)
            with atomic_path(path) as temporary:
                self._write(temporary, key, examples, batches(), order)
        self._make_room(key)
        made = self._read(key)
        assert made is not None
        return made, False

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{_SUFFIX}"

    def _read(self, key: str) -> Kept | None:
        path = self._path(key)
        try:
            with open_plain(path) as file:
                head = json.loads(file.read(_HEAD))
                if head.pop("crc32") != _checksum(file, head):
                    raise ValueError("its checksum does not fit")
                if head.get("key") != key:  # such as a file that was copied or renamed
                    raise ValueError("it is of other weights or data than its name says")
            os.utime(path)  # the oldest is the one unused for longest
            arrays = [_mapped(path, array) for array in head["arrays"]]
            return Kept(
                *(Ragged(*(arrays.pop(0) for _ in range(3))) if ragged else arrays.pop(0) for ragged in head["ragged"])
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, RecursionError) as error:
            log.warning("%s is damaged (%s): its features are computed again", path, first_line(error))
            path.unlink(missing_ok=True)  # no file of ours, or one that a power cut or a bad disk left
            return None

    def _write(self, path: Path, key: str, examples: int, batches: Iterable[Batch], order: np.ndarray | None) -> None:
        places = torch.arange(examples) if order is None else torch.from_numpy(order)
        coming = iter(batches)
        first = next(coming)
        write = _write_ragged if isinstance(first[0], Sequences) else _write_even
        with open(path, "wb+") as file:
            file.write(b" " * _HEAD)
            head = write(file, places, chain([first], coming), self._check_size) | {"key": key}
            file.seek(_HEAD)
            content = head | {"crc32": _checksum(file, head)}
            file.seek(0)
            file.write(json.dumps(content).encode().ljust(_HEAD))

    def _check_size(self, size: float) -> None:
        if size > self.limit:
            raise TooLargeError(f"they would take {size / 1e9:.2g} GB and features.gigabytes={self.limit / 1e9:g}")
        free = shutil.disk_usage(self.folder).free
        if size > free:
            raise TooLargeError(f"they would take {size / 1e9:.2g} GB and {self.folder} has {free / 1e9:.2g} GB left")

    def _make_room(self, key: str) -> None:
        """Removes files until the rest fits; whoever still reads one goes on, as the system keeps it for them."""
        with lock(self.folder / "room.lock"):
            files = sorted(self._files(), key=lambda file: file[1])
            total = sum(size for _, _, size in files)
            for path, _, size in files:
                if total <= self.limit:
                    break
                if path.stem != key:
                    with contextlib.suppress(PermissionError):  # Windows keeps what somebody reads
                        path.unlink(missing_ok=True)
                        path.with_suffix(".lock").unlink(missing_ok=True)
                        total -= size

    def _files(self) -> Iterator[tuple[Path, float, int]]:
        for path in self.folder.glob(f"*{_SUFFIX}"):
            with contextlib.suppress(OSError):
                state = path.stat()
                yield path, state.st_mtime, state.st_size


def _checksum(file: BinaryIO, head: dict[str, Any]) -> int:
    """CRC-32 of what a file's head says, which tells where the arrays lie, and of the rest of the file."""
    checksum = zlib.crc32(json.dumps(head).encode())
    while part := file.read(1 << 22):
        checksum = zlib.crc32(part, checksum)
    return checksum


def _write_even(
    file: BinaryIO, places: Tensor, batches: Iterable[Any], check_size: Callable[[float], None]
) -> dict[str, Any]:
    """Write rows of one shape each to their places; return what the file's head says of them."""
    arrays: list[Tensor] = []
    done = 0
    for batch in batches:
        if not arrays:
            head, size = _layout(len(places), batch)
            check_size(size)
            with contextlib.suppress(AttributeError):  # not everywhere
                os.posix_fallocate(file.fileno(), 0, size)  # a full disk says so now, not by a signal later
            file.truncate(size)
            file.flush()
            arrays = [_mapped(Path(file.name), array, write=True) for array in head]
        rows = places[done : done + len(batch[0])]
        for array, values in zip(arrays, batch, strict=True):
            array[rows] = values
        done += len(batch[0])
    _require_all(done, len(places))
    return {"arrays": head, "ragged": [False, False]}


def _write_ragged(
    file: BinaryIO, places: Tensor, batches: Iterable[Any], check_size: Callable[[float], None]
) -> dict[str, Any]:
    """Write sequences one behind the other, and at the end where each begins; return what the file's head says."""
    writer = RaggedWriter(len(places), file)
    for values, targets in batches:
        writer.add(places[writer.done : writer.done + len(targets)], values, targets)
        size = file.tell()
        # What all will take is known well before the end.
        check_size(max(size, size / writer.done * len(places) if 10 * writer.done >= len(places) else 0))
    _require_all(writer.done, len(places))
    shape = [writer.total, *writer.shape]
    head = [{"dtype": str(writer.dtype).removeprefix("torch."), "shape": shape, "offset": _HEAD}]
    ragged, arrays = writer.finish()
    for array in arrays:
        file.write(b"\0" * (-file.tell() % 64))
        head.append(
            {"dtype": str(array.dtype).removeprefix("torch."), "shape": list(array.shape), "offset": file.tell()}
        )
        file.write(array.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    file.flush()
    return {"arrays": head, "ragged": [True, ragged]}


def _require_all(done: int, examples: int) -> None:
    if done != examples:
        raise ValueError(f"{done} examples came where {examples} were expected")


def _layout(examples: int, batch: tuple[Tensor, Tensor]) -> tuple[list[dict[str, Any]], int]:
    head: list[dict[str, Any]] = []
    offset = _HEAD
    for values in batch:
        shape = [examples, *values.shape[1:]]
        head.append({"dtype": str(values.dtype).removeprefix("torch."), "shape": shape, "offset": offset})
        offset += math.ceil(math.prod(shape) * values.element_size() / 64) * 64
    return head, offset


def _mapped(path: Path, array: dict[str, Any], write: bool = False) -> Tensor:
    """Return one array of a file as a tensor. Opened for reading, it is private: whoever writes to it changes no file."""
    dtype, offset = getattr(torch, str(array["dtype"])), int(str(array["offset"]))
    shape: tuple[int, ...] = tuple(array["shape"])  # type: ignore[arg-type]
    size = math.prod(shape) * dtype.itemsize
    if not size:
        return torch.zeros(shape, dtype=dtype)
    memory = np.memmap(path, np.uint8, "r+" if write else "c", offset, (size,))
    return torch.from_numpy(memory).view(dtype).view(shape)
