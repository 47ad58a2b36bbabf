"""Scanned digits on a larger ground: in the middle while a network learns, moved when it is tested."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.data.images.digits import Digits
from experiments.data.images.image_store import ImageSplit
from experiments.errors import UserError

SIDE, INNER = 24, 8  # pixels of the ground and of a digit
_ROOM = (SIDE - INNER) // 2


class MovedDigits(Digits):
    """Digits of 8 × 8 in the middle of (1, 24, 24); those of the test split lie `shift` pixels off, in eight directions by turns.

    Args:
        shift: pixels, from 0 to 8.
        rest: the keys of `ImageData`.

    Raises:
        UserError: when the shift would push digits over the edge.
    """

    name = "moved_digits"

    def __init__(self, *, shift: int, **rest: Any) -> None:
        super().__init__(**rest)
        if isinstance(shift, bool) or not isinstance(shift, int) or not 0 <= shift <= _ROOM:
            raise UserError(
                f"data.shift={shift} must be a whole number from 0 to {_ROOM}: digits lie that far from the edge"
            )
        self.shift = shift

    def read(self) -> tuple[tuple[str, ...], dict[str, ImageSplit]]:
        names, by_split = super().read()
        shifts = {"train": 0, "test": self.shift}
        return names, {
            split: ImageSplit(_moved(pair.source, shifts[split]), pair.labels) for split, pair in by_split.items()
        }


def _moved(images: np.ndarray, shift: int) -> np.ndarray:
    """Map (N, 1, 8, 8) -> (N, 1, 24, 24): image k lies `shift` pixels off the middle, in direction k modulo 8."""
    ground = np.zeros((len(images), 1, SIDE, SIDE), np.uint8)
    directions = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if y or x]
    for number, image in enumerate(images):
        y, x = (_ROOM + shift * sign for sign in directions[number % 8])
        ground[number, :, y : y + INNER, x : x + INNER] = image
    return ground
