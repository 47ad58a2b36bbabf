"""Large images in overlapping tiles, and what was found in these put together again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torchvision.ops import batched_nms  # type: ignore[import-untyped]

from experiments.tasks.parts.object_matching import Found

SAME = 0.5  # intersection over union of two boxes of one class from which they are of one object


def corners(length: int, tile: int, overlap: float) -> list[int]:
    """Where tiles begin along a side, evenly, each sharing at least so much of itself with the next."""
    if length <= tile:
        return [0]
    step = max(1, int(tile * (1 - overlap)))
    count = -(-(length - tile) // step) + 1
    return [round(place * (length - tile) / (count - 1)) for place in range(count)]


def in_tiles(image: Tensor, tile: int, overlap: float, find: Callable[[Sequence[Tensor]], list[Found]]) -> Found:
    """Return what is found in an image (3, H, W), tile by tile; of what two tiles found twice, the surer.

    Args:
        image: of any size.
        tile: pixels of a tile's sides.
        overlap: share of a tile that the next one has too.
        find: finds objects in images.
    """
    height, width = image.shape[-2:]
    places = [(y, x) for y in corners(height, tile, overlap) for x in corners(width, tile, overlap)]
    parts: list[Found] = []
    for y, x in places:
        detected = find([image[:, y : y + tile, x : x + tile]])[0]
        detected = {**detected, "boxes": detected["boxes"] + detected["boxes"].new_tensor([x, y, x, y])}
        if "masks" in detected:
            inside = detected["masks"]
            right, below = width - x - inside.shape[-1], height - y - inside.shape[-2]
            detected["masks"] = torch.nn.functional.pad(inside, (x, right, y, below))
        parts.append(detected)
    whole = {key: torch.cat([part[key] for part in parts]) for key in parts[0]}
    kept = batched_nms(whole["boxes"], whole["scores"], whole["labels"], SAME)
    return {key: value[kept] for key, value in whole.items()}
