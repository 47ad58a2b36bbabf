"""Generated drawings of several shapes with their boxes and masks: for tests, and where no file is to be had."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.data.boxes.annotations import AnnotatedImage, Object
from experiments.data.boxes.box_data import BoxData
from experiments.data.boxes.instance_masks import Drawn, bounds
from experiments.errors import UserError
from experiments.system.memory import require_memory

CLASSES = ("disc", "square", "triangle", "cross")


class GeneratedBoxes(BoxData):
    """One to four shapes of random size, place and colour on a noisy ground; always the same ones.

    Args:
        count: training images, validation included; the test split has a quarter as many.
        side: pixels of the images' sides.
        rest: the keys of `BoxData`.
    """

    name = "generated_boxes"

    def __init__(self, *, count: int, side: int, **rest: Any) -> None:
        super().__init__(**rest)
        if count < 4 or side < 32:
            raise UserError(f"data.count={count} and data.side={side} must be 4 and 32 or more: try data.count=200")
        require_memory(6 * count * side**2, f"data.count={count} with data.side={side}", "take fewer or smaller images")
        self.count, self.side = count, side

    def read(self) -> tuple[tuple[str, ...] | None, dict[str, list[AnnotatedImage]]]:
        test = max(2, self.count // 4)
        return CLASSES, {"train": draw(self.count, self.side, 0), "test": draw(test, self.side, 1)}


def draw(count: int, side: int, seed: int) -> list[AnnotatedImage]:
    """So many pictures; shapes that are hidden for the most part are left out."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side].astype(float)
    pictures = []
    for number in range(count):
        pixels = rng.normal(40, 15, (side, side, 3))
        owner = np.zeros((side, side), int)  # which shape is seen
        labels, sizes = [], []
        for place in range(1, rng.integers(1, 5) + 1):
            label, radius = int(rng.integers(4)), rng.uniform(0.1, 0.25) * side
            down, right = rng.uniform(radius, side - 1 - radius, 2)
            inside = _shape(CLASSES[label], y - down, x - right, radius)
            pixels[inside] = rng.uniform(90, 255, 3) + rng.normal(0, 8, (int(inside.sum()), 3))
            owner[inside] = place
            labels.append(label)
            sizes.append(int(inside.sum()))
        objects = []
        for place, (label, size) in enumerate(zip(labels, sizes, strict=True), 1):
            seen = owner == place
            if seen.sum() >= 0.4 * size:
                objects.append(Object(CLASSES[label], bounds(seen), False, float(seen.sum()), Drawn(seen)))
        pictures.append(
            AnnotatedImage(pixels.clip(0, 255).astype(np.uint8), f"picture {number} of seed {seed}", tuple(objects))
        )
    return pictures


def _shape(name: str, y: np.ndarray, x: np.ndarray, radius: float) -> np.ndarray:
    """(H, W) bool; y and x are counted from the middle of the shape."""
    if name == "disc":
        return x**2 + y**2 <= radius**2
    if name == "square":
        return np.maximum(abs(x), abs(y)) <= 0.8 * radius
    if name == "triangle":
        return (y <= 0.8 * radius) & (2 * abs(x) <= y + radius)
    return (np.minimum(abs(x), abs(y)) <= 0.25 * radius) & (np.maximum(abs(x), abs(y)) <= radius)
