"""Outlines of objects in COCO's form: polygons, run lengths, and what can be wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments.errors import UserError


@dataclass(frozen=True)
class Polygons:
    """Outlines of the parts of an object: of each x, y, x, y and so on, in pixels."""

    parts: tuple[tuple[float, ...], ...]

    def fault(self) -> str | None:
        """Return what is wrong with it, as half a sentence."""
        if any(len(part) % 2 for part in self.parts):
            return "has a polygon with an x and no y"
        least = min(map(len, self.parts), default=0) // 2
        if least < 3:
            return f"has a polygon with under three points ({least} points)"
        if not np.isfinite(np.concatenate(self.parts)).all():
            return "has a polygon with points that are no numbers"
        return None

    def decode(self, size: tuple[int, int]) -> np.ndarray:
        """(H, W) bool, as COCO's own tools draw them."""
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
        """Return what is wrong with it, as half a sentence."""
        if all(self.image) and self.size != self.image:
            return f"has run lengths of {self.size[1]}×{self.size[0]} in an image of {self.image[1]}×{self.image[0]}"
        try:
            lengths = run_lengths(self.counts)
        except ValueError:
            return "has run lengths that cannot be read"
        if min(lengths, default=0) < 0:
            return f"has a run length of {min(lengths)}, below 0"
        if sum(lengths) != self.size[0] * self.size[1]:
            return f"has run lengths of {sum(lengths)} pixels for {self.size[1]}×{self.size[0]}"
        return None

    def decode(self, size: tuple[int, int]) -> np.ndarray:
        """(H, W) bool.

        Raises:
            UserError: the image has another size.
        """
        if self.size != size:
            raise UserError(
                f"a mask of {self.size[1]}×{self.size[0]} pixels belongs to an image of {size[1]}×{size[0]}: "
                "mend the annotation"
            )
        return decoded(run_lengths(self.counts), size)


@dataclass(frozen=True)
class Unreadable:
    """Stands where an outline should, and is none.

    Attributes:
        why: half a sentence.
    """

    why: str

    def fault(self) -> str | None:
        """Return what is wrong with it, as half a sentence."""
        return self.why

    def decode(self, size: tuple[int, int]) -> np.ndarray:
        """Nothing: such an outline is refused or left out before."""
        raise AssertionError(self.why)


Outline = Polygons | Runs | Unreadable


def outline_of(written: Any, size: tuple[int, int]) -> Outline | None:
    """Return the outline of an annotation: polygons or run lengths, to be asked for its `fault`; None where there is none.

    Args:
        written: the `segmentation`.
        size: height and width that the image is stated to have; 0 where nothing is.
    """
    if written is None or written == []:
        return None
    try:
        if isinstance(written, Mapping):
            height, width = (int(side) for side in written.get("size") or size)
            counts = written["counts"]
            return Runs((height, width), counts if isinstance(counts, str) else tuple(map(int, counts)), size)
        if isinstance(written, Sequence) and not isinstance(written, str):
            parts = written if isinstance(written[0], Sequence) else [written]
            if not any(isinstance(part, str) for part in parts):
                return Polygons(tuple(tuple(map(float, part)) for part in parts))
    except (KeyError, TypeError, ValueError, OverflowError):
        if isinstance(written, Mapping):
            return Unreadable("has run lengths that cannot be read")
    return Unreadable("has a polygon that is no list of x and y")


def decoded(runs: Sequence[int], size: tuple[int, int]) -> np.ndarray:
    """Run lengths down the columns, beginning outside: (H, W) bool."""
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(size[::-1]).T


def run_lengths(counts: str | bytes | Sequence[int]) -> Sequence[int]:
    """Run lengths, as they are or packed into COCO's text: five bits a letter, differences to the last but one.

    Raises:
        ValueError: the text ends within a number, or has letters that stand for none.
    """
    if not isinstance(counts, str | bytes):
        return counts
    runs: list[int] = []
    value = shift = 0
    for letter in counts.encode() if isinstance(counts, str) else counts:
        bits = letter - 48
        if not 0 <= bits < 64:
            raise ValueError(f"the letter {chr(letter)!r} stands for no number")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("the text ends within a number")
    return runs


def coco_masks() -> Any:
    """Return the functions of COCO's masks, by faster-coco-eval.

    Raises:
        UserError: when it is not installed.
    """
    try:
        from faster_coco_eval import mask  # type: ignore[import-untyped]
    except ImportError:
        raise UserError(
            "masks as polygons need faster-coco-eval: pip install 'lightning-experiments[detection]'"
        ) from None
    return mask
