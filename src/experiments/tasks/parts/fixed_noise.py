"""Noise for evaluation that follows from each image alone: the same in any batch, order and number of processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Draw = Callable[..., Tensor]  # torch.randn, torch.rand


def settled_noise(images: Tensor, draw: Draw, shape: Sequence[int], salt: int) -> Tensor:
    """Draws for each image of a batch by a generator that its pixels seed.

    Args:
        images: (B, C, H, W), from 0 to 1.
        draw: torch.randn or torch.rand.
        shape: of one image's noise.
        salt: other draws for the same images.

    Returns:
        (B, *shape), on the device of the images and of their kind.
    """
    generator = torch.Generator()
    rows = [draw(tuple(shape), generator=generator.manual_seed(seed + salt)) for seed in _seeds(images)]
    noise = torch.stack(rows) if rows else torch.zeros(0, *shape)
    return noise.to(images.device, images.dtype)


def _seeds(images: Tensor) -> list[int]:
    """Return a whole number from 0 that follows from an image's pixels in 255 steps."""
    steps = (images.float() * 255).round().long().flatten(1)
    places = torch.arange(1, steps.shape[1] + 1, device=steps.device)
    places = places * 2654435761 % 4294967291  # a factor of its own for each pixel
    sums: list[int] = (steps * places).sum(1).tolist()
    return [abs(number) % 2**62 for number in sums]
