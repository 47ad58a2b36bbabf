"""Masks of objects in the forms that files have: a value in an image, an array; decoded when needed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np

from experiments.errors import UserError


class Mask(Protocol):
    """Where an object lies."""

    def fault(self) -> str | None:
        """Return what is wrong with it, as half a sentence."""

    def decode(self, size: tuple[int, int]) -> np.ndarray:
        """(H, W) bool."""


@dataclass(frozen=True)
class Painted:
    """The pixels of an index image that have one value."""

    path: Path
    value: int

    def fault(self) -> str | None:
        return None

    def decode(self, size: tuple[int, int]) -> np.ndarray:
        values = index_image(self.path)
        if values.shape != size:
            raise UserError(
                f"{self.path} has {values.shape[1]}×{values.shape[0]} pixels and its image {size[1]}×{size[0]}: "
                "give masks of the images' own size"
            )
        return values == self.value


@dataclass(frozen=True)
class Drawn:
    """A mask in memory."""

    pixels: np.ndarray  # (H, W) bool

    def fault(self) -> str | None:
        return None

    def decode(self, size: tuple[int, int]) -> np.ndarray:
        return self.pixels


@dataclass(frozen=True)
class Turned:
    """A mask of an image as it is stored, for the image as it is shown."""

    mask: Mask
    turn: int  # of EXIF, 2 to 8
    stored: tuple[int, int]

    def fault(self) -> str | None:
        return self.mask.fault()

    def decode(self, size: tuple[int, int]) -> np.ndarray:
        plane = self.mask.decode(self.stored)
        if self.turn in (5, 6, 7, 8):
            plane = plane.T
        if self.turn in (2, 3, 6, 7):
            plane = plane[:, ::-1]
        if self.turn in (3, 4, 7, 8):
            plane = plane[::-1]
        return np.ascontiguousarray(plane)


def turned(mask: Mask, turn: int, stored: tuple[int, int]) -> Mask:
    """Return a mask of a stored image for the image as it is shown."""
    return Turned(mask, turn, stored)


def bounds(mask: np.ndarray) -> tuple[float, float, float, float]:
    """Return the box around a mask (H, W) that is not empty: x1, y1, x2 and y2, the last two beyond its last pixels."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


@lru_cache(maxsize=8)
def index_image(path: Path) -> np.ndarray:
    """(H, W) integers of an image whose pixels are numbers, of 8 bits, 16 bits or a palette.

    Raises:
        UserError: it is none, or has colours.
    """
    from PIL import Image

    try:
        with Image.open(path) as opened:
            if opened.mode not in ("L", "P", "1", "I", "I;16"):
                raise UserError(f"{path} is an image of mode {opened.mode}, and a mask holds one number a pixel")
            return np.asarray(opened).astype(np.int64)
    except OSError as error:
        raise UserError(f"{path} is no readable mask ({error}): mend it, or remove it and its image") from error
