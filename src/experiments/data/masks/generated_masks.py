"""Generated pictures of shapes with their masks: for tests, and where no file is to be had."""

from __future__ import annotations

import colorsys
from typing import Any

import numpy as np

from experiments.data.masks.mask_contents import MaskContents
from experiments.data.masks.mask_data import MaskData
from experiments.data.masks.mask_files import Pair
from experiments.errors import UserError
from experiments.system.memory import require_memory

CLASSES = ("background", "disc", "square", "triangle", "cross")
COLOURS = ("#202020", "#2a78b8", "#e28028", "#3aa050", "#b83a3a")


class GeneratedMasks(MaskData):
    """Up to three shapes of any colour, size and place on a noisy ground; always the same ones.

    Args:
        count: training images, validation included; the test split has a quarter as many.
        side: of the images, in pixels, before `data.size`.
        rest: the keys of `MaskData`.
    """

    name = "generated_masks"

    def __init__(self, *, count: int, side: int, **rest: Any) -> None:
        super().__init__(**rest)
        if count < 4 or side < 16:
            raise UserError(
                f"data.count={count} must be 4 or more and data.side={side} 16 or more: try data.count=200 data.side=64"
            )
        require_memory(5 * count * side**2, f"data.count={count} with data.side={side}", "take fewer or smaller images")
        self.count, self.side = count, side

    def read(self) -> MaskContents:
        def pairs(seed: int, count: int) -> list[Pair]:
            return [_pair(seed, number, self.side) for number in range(count)]

        return MaskContents(
            CLASSES, COLOURS, {"train": pairs(0, self.count), "test": pairs(1, max(2, self.count // 4))}
        )


def _pair(seed: int, number: int, side: int) -> Pair:
    image, mask = draw(seed, number, side)
    return Pair(f"{number}", image.transpose(1, 2, 0), lambda size: mask, f"the mask of {number}")


def draw(seed: int, number: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return one picture: image (3, side, side) and mask (side, side), both uint8."""
    rng = np.random.default_rng([seed, number])
    image = rng.normal(rng.uniform(40, 160, (3, 1, 1)), 12, (3, side, side))
    mask = np.zeros((side, side), np.uint8)
    rows, columns = np.mgrid[:side, :side].astype(float)
    for _ in range(int(rng.integers(1, 4))):
        label = int(rng.integers(1, len(CLASSES)))
        radius = rng.uniform(0.1, 0.24) * side
        middle = rng.uniform(radius, side - 1 - radius, 2)
        y, x = rows - middle[0], columns - middle[1]
        inside = (
            x**2 + y**2 <= radius**2,
            np.maximum(abs(x), abs(y)) <= 0.8 * radius,
            (y <= 0.8 * radius) & (2 * abs(x) <= y + radius),
            (np.minimum(abs(x), abs(y)) <= 0.25 * radius) & (np.maximum(abs(x), abs(y)) <= radius),
        )[label - 1]
        colour = np.array(colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(0.4, 1), rng.uniform(0.5, 1))) * 255
        image[:, inside] = colour[:, None] + rng.normal(0, 8, (3, int(inside.sum())))
        mask[inside] = label
    return image.clip(0, 255).astype(np.uint8), mask
