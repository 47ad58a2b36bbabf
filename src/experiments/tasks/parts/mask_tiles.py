"""Large images in tiles that overlap, so that a network sees what it was trained on and memory stays small."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

TOGETHER = 4  # tiles at a time


def places(whole: int, tile: int, overlap: float) -> list[int]:
    """Where tiles begin along a side, from its beginning to its end, each overlapping the next by a share at least."""
    if whole <= tile:
        return [0]
    count = math.ceil((whole - tile) / max(1, round(tile * (1 - overlap)))) + 1
    return [round(number * (whole - tile) / (count - 1)) for number in range(count)]


def ramp(side: int, overlap: float) -> Tensor:
    """Weights along a side of a tile, that fall towards its ends where tiles overlap: (side,)."""
    width = max(1, round(side * overlap))
    distance = torch.arange(1, side + 1, dtype=torch.float32)
    return torch.minimum(distance, distance.flip(0)).clamp(max=width) / width


@torch.no_grad()
def by_tiles(function: Callable[[Tensor], Tensor], image: Tensor, tile: tuple[int, int], overlap: float) -> Tensor:
    """Return what a function of tiles gives for a whole image, a mean weighted by nearness to the middle of each tile.

    Args:
        function: (B, C, h, w) -> (B, K, h, w).
        image: (1, C, H, W).
        tile: height and width; an image that is not larger is taken whole.
        overlap: share of a tile that the next one covers too.

    Returns:
        (K, H, W) float on the CPU.
    """
    height, width = image.shape[2:]
    tall, wide = min(tile[0], height), min(tile[1], width)
    if (tall, wide) == (height, width):
        return function(image)[0].float().cpu()
    weight = ramp(tall, overlap)[:, None] * ramp(wide, overlap)
    total: Tensor | None = None
    covered = torch.zeros(height, width)
    corners = [(y, x) for y in places(height, tall, overlap) for x in places(width, wide, overlap)]
    for some in _groups(corners):
        scores = function(torch.cat([image[:, :, y : y + tall, x : x + wide] for y, x in some])).float().cpu()
        if total is None:
            total = torch.zeros(scores.shape[1], height, width)
        for (y, x), patch in zip(some, scores, strict=True):
            total[:, y : y + tall, x : x + wide] += weight * patch
            covered[y : y + tall, x : x + wide] += weight
    assert total is not None
    return total / covered


def _groups(corners: list[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    for start in range(0, len(corners), TOGETHER):
        yield corners[start : start + TOGETHER]


def largest(scores: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the class with the largest score at each pixel of an image of another size: (K, h, w) -> (H, W) uint8.

    A class at a time, so that many classes of a large photograph fit in memory.
    """
    best: Tensor | None = None
    winner = torch.zeros(size, dtype=torch.uint8)
    for number, plane in enumerate(scores):
        values = (
            plane
            if plane.shape == size
            else torch.nn.functional.interpolate(plane[None, None], size=size, mode="bilinear")[0, 0]
        )
        if best is None:
            best = values.clone()
            continue
        winner.masked_fill_(values > best, number)
        torch.maximum(best, values, out=best)
    return winner
