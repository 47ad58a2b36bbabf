"""Masks of objects in the forms that files have: polygons, run lengths, a value in an image; decoded when needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from experiments.errors import UserError


class Mask(Protocol):
    """Where an object lies."""

    def fault(self) -> str | None:
        """Return what is wrong with it, as half a sentence."""

    def decode(self, size: tuple[int, int]) -> np.ndarray:
        """(H, W) bool."""


@dataclass(frozen=True)
class Polygons:
    """Outlines of the parts of an object: of each x, y, x, y and so on, in pixels."""

    parts: tuple[tuple[float, ...], ...]

    def fault(self) -> str | None:
        if any(len(part) % 2 for part in self.parts):
            return "has a polygon with an x and no y"
        if not self.parts or any(len(part) < 6 for part in self.parts):
            return "has a polygon with under three points"
        if not np.isfinite(np.concatenate(self.parts)).all():
            return "has a polygon with points that are no numbers"
        return None

    def decode(self, size: tuple[int, int]) -> np.ndarray:
        """As COCO's own tools draw them."""
        mask = coco_masks()
        return mask.decode(mask.merge(mask.frPyObjects([list(part) for part in self.parts], *size))).astype(bool)


@dataclass(frozen=True)
class Runs:
    """Lengths of runs of outside and inside, taking turns, down the columns; or COCO's text for that.

    Attributes:
        size: height and width that they are stated to be of.
        counts: the lengths.
        image: height and width that the image is stated to have; 0 where nothing is.
    """

    size: tuple[int, int]
    counts: tuple[int, ...] | str
    image: tuple[int, int] = (0, 0)

    def fault(self) -> str | None:
        if all(self.image) and self.size != self.image:
            return f"has run lengths of {self.size[1]}×{self.size[0]} in an image of {self.image[1]}×{self.image[0]}"
        if not isinstance(self.counts, str) and sum(self.counts) != self.size[0] * self.size[1]:
            return f"has run lengths of {sum(self.counts)} pixels for {self.size[1]}×{self.size[0]}"
        return None

    def decode(self, size: tuple[int, int]) -> np.ndarray:
        if self.size != size:
            raise UserError(
                f"a mask of {self.size[1]}×{self.size[0]} pixels belongs to an image of {size[1]}×{size[0]}: "
                "mend the annotation"
            )
        if isinstance(self.counts, str):
            return coco_masks().decode({"size": list(size), "counts": self.counts.encode()}).astype(bool)
        inside = np.repeat(np.arange(len(self.counts)) % 2 == 1, self.counts)
        return inside.reshape(size[1], size[0]).T


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


def of_coco(written: object, size: tuple[int, int]) -> Mask | None:
    """Return the mask of a COCO annotation: polygons, run lengths, or None where there is none."""
    if isinstance(written, dict) and "counts" in written:
        counts = written["counts"]
        given = tuple(int(side) for side in written.get("size", size))
        return Runs((given[0], given[1]), counts if isinstance(counts, str) else tuple(map(int, counts)), size)
    if isinstance(written, Sequence) and not isinstance(written, str) and written:
        parts = written if isinstance(written[0], Sequence) else [written]
        return Polygons(tuple(tuple(map(float, part)) for part in parts))
    return None


def coco_masks() -> Any:
    """Return the functions of COCO's masks, by faster-coco-eval.

    Raises:
        UserError: when it is not installed.
    """
    try:
        from faster_coco_eval import mask  # type: ignore[import-untyped]
    except ImportError:
        raise UserError(
            "masks as polygons or run lengths need faster-coco-eval: pip install 'lightning-experiments[detection]'"
        ) from None
    return mask
