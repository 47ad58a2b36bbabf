"""Small datasets with masks in the formats of the real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

MASKS: dict[str, Any] = {
    "batch_size": 2, "size": None, "fit": "cover", "grey": False, "validation": 0.2, "test": 0.2, "limit": None, "workers": 0,
    "seed": 7, "augment": {}, "border_weight": 0.0, "border_sigma": 5.0,
}  # fmt: skip


def save(path: Path, pixels: np.ndarray, **how: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **how)


def fake_pairs(images: Path, masks: Path, count: int, size: tuple[int, int] = (12, 16), classes: int = 3) -> None:
    """Images whose red value tells the class of each pixel, 40 times it, beside index masks."""
    rng = np.random.default_rng(len(str(images)) + count)
    for number in range(count):
        mask = rng.integers(0, classes, size).astype(np.uint8)
        image = np.stack([mask * 40, np.full(size, number), np.full(size, 90)], axis=2).astype(np.uint8)
        save(images / f"frame_{number:02}.png", image)
        save(masks / f"frame_{number:02}.png", mask)


def fake_camvid(
    root: Path, parts: tuple[str, ...] = ("train", "val", "test"), count: int = 6, size: tuple[int, int] = (12, 16)
) -> None:
    for part in parts:
        fake_pairs(root / part, root / f"{part}annot", count, size, classes=12)
