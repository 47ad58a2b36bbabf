"""TensorBoard's event files: records, each with its length and the checksums of both.

https://www.tensorflow.org/tutorials/load_data/tfrecord describes the format. The checksum is CRC-32C, which neither
Python nor NumPy has; TensorBoard's own, a loop over bytes, takes longer than drawing a picture. Short records need no NumPy.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.system.bounded_files import open_plain

if TYPE_CHECKING:
    import numpy as np

_POLYNOMIAL = 0x82F63B78
_LANE = 64  # bytes that are worked through one after another, in all lanes at once


def record(data: bytes) -> bytes:
    """Return one record: length, its checksum, data, its checksum."""
    length = struct.pack("<Q", len(data))
    return length + _masked(length) + data + _masked(data)


def records(path: Path) -> Iterator[bytes]:
    """Yield the records of a file, up to where a killed run stopped writing."""
    with open_plain(path) as file:
        while len(head := file.read(12)) == 12:
            (length,) = struct.unpack("<Q", head[:8])
            if head[8:] != _masked(head[:8]):
                return
            data = file.read(length)
            if len(data) < length or file.read(4) != _masked(data):
                return
            yield data


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli) of some bytes."""
    return _in_lanes(data) if len(data) > 64 * _LANE else _byte_by_byte(data)


def _masked(data: bytes) -> bytes:
    """Return the checksum, rotated and shifted as event files want it."""
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _byte_by_byte(data: bytes) -> int:
    crc, table = 0xFFFFFFFF, _list()
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _in_lanes(data: bytes) -> int:
    """Return the same for long data. A checksum is linear: that of two pieces is the first's, moved over as many zeros
    as the second is long, with the second's.
    """
    import numpy as np

    table, lanes = _table(), 1 << ((len(data) - 1) // _LANE).bit_length()
    sheet = np.zeros(lanes * _LANE, np.uint8)  # zeros in front change nothing
    sheet[-len(data) :] = np.frombuffer(data, np.uint8)
    sheet[-len(data) :][:4] ^= 0xFF
    state = np.zeros(lanes, np.uint32)
    for column in np.ascontiguousarray(sheet.reshape(lanes, _LANE).T):
        state = table[(state ^ column) & 0xFF] ^ (state >> 8)
    power = _LANE.bit_length() - 1
    while len(state) > 1:
        state = _apply(_over_zeros(power), state[::2]) ^ state[1::2]
        power += 1
    return int(state[0]) ^ 0xFFFFFFFF


@lru_cache(maxsize=1)
def _list() -> list[int]:
    """Return what each byte does to the checksum."""
    entries = list(range(256))
    for _ in range(8):
        entries = [entry >> 1 ^ (_POLYNOMIAL if entry & 1 else 0) for entry in entries]
    return entries


@lru_cache(maxsize=1)
def _table() -> np.ndarray:
    """Return the same, to look up many at once."""
    import numpy as np

    return np.array(_list(), np.uint32)


@lru_cache(maxsize=64)
def _over_zeros(power: int) -> np.ndarray:
    """Return what 2^power zero bytes do to each of a checksum's four bytes: (4, 256)."""
    import numpy as np

    if power == 0:
        alone = np.arange(256, dtype=np.uint32) << (8 * np.arange(4, dtype=np.uint32))[:, None]
        return np.asarray(_table()[alone & 0xFF] ^ (alone >> 8))
    half = _over_zeros(power - 1)
    return _apply(half, half)


def _apply(tables: np.ndarray, crc: np.ndarray) -> np.ndarray:
    moved: np.ndarray = (
        tables[0][crc & 0xFF] ^ tables[1][crc >> 8 & 0xFF] ^ tables[2][crc >> 16 & 0xFF] ^ tables[3][crc >> 24]
    )
    return moved
