"""Generated grey drawings of four shapes: for tests, and where no file is to be had."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.data.images.image_data import ImageData
from experiments.data.images.image_store import ImageSplit
from experiments.system.memory import require_memory

CLASSES = ("disc", "square", "triangle", "cross")
SIDE = 28


class Shapes(ImageData):
    """Shapes of random size, place and brightness on a noisy ground, (1, 28, 28); always the same ones.

    Args:
        count: training examples, validation included; the test split has a quarter as many.
        rest: the keys of `ImageData`.
    """

    name = "shapes"

    def __init__(self, *, count: int, **rest: Any) -> None:
        super().__init__(**rest)
        require_memory(40 * count * SIDE**2, f"data.count={count}", "take fewer images")
        self.count = count

    def read(self) -> tuple[tuple[str, ...], dict[str, ImageSplit]]:
        return CLASSES, {"train": draw(self.count, 0), "test": draw(max(len(CLASSES), self.count // 4), 1)}


def draw(count: int, seed: int) -> ImageSplit:
    """`count` images (N, 1, 28, 28) uint8, the classes taking turns."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % len(CLASSES)
    radius = rng.uniform(5, 9, (count, 1, 1))
    middle = rng.uniform(radius, SIDE - 1 - radius, (2, count, 1, 1)) if count else np.zeros((2, 0, 1, 1))
    y, x = np.mgrid[:SIDE, :SIDE].astype(float)[:, None] - middle
    inside = np.select(
        [labels[:, None, None] == label for label in range(len(CLASSES))],
        [
            x**2 + y**2 <= radius**2,
            np.maximum(abs(x), abs(y)) <= 0.8 * radius,
            (y <= 0.8 * radius) & (2 * abs(x) <= y + radius),
            (np.minimum(abs(x), abs(y)) <= 0.25 * radius) & (np.maximum(abs(x), abs(y)) <= radius),
        ],
    )
    ground = rng.normal(30, 15, inside.shape)
    brightness = rng.uniform(90, 220, (count, 1, 1))
    images = np.clip(ground + inside * brightness, 0, 255).astype(np.uint8)
    return ImageSplit(images[:, None], labels.astype(np.int64))
