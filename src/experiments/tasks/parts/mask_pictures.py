"""Masks as files: indices with a palette, and laid over their image."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from experiments.tasks.report import Attachment


def palette(colours: Sequence[str]) -> np.ndarray:
    """Colours "#rrggbb" as (K, 3) uint8."""
    return np.array([[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in colours], np.uint8)


def mask_file(mask: np.ndarray, colours: Sequence[str]) -> Attachment:
    """Return a PNG whose values are the classes, and whose palette has their colours: (H, W) uint8."""
    from PIL import Image

    image = Image.fromarray(mask, "P")
    image.putpalette(palette(colours).tobytes())
    return _png(image)


def overlay_file(pixels: np.ndarray, mask: np.ndarray, colours: Sequence[str]) -> Attachment:
    """Return a PNG of an image with its mask over it: (H, W, 3) and (H, W) uint8."""
    from PIL import Image

    return _png(Image.fromarray(overlaid(pixels, mask, colours)))


def overlaid(pixels: np.ndarray, mask: np.ndarray, colours: Sequence[str], share: float = 0.5) -> np.ndarray:
    """Half of the image and half of the colour of its class, with edges between classes: (H, W, 3) uint8.

    Args:
        pixels: (H, W, 3) uint8.
        mask: (H, W) uint8; what is no class shows the image.
        colours: of the classes.
        share: of the colour.
    """
    table = palette(colours)
    of_a_class = (mask < len(table))[..., None]
    shade = table[np.minimum(mask, len(table) - 1)]
    mixed = np.where(of_a_class, (1 - share) * pixels + share * shade, pixels)
    edge = np.zeros(mask.shape, bool)
    edge[1:] |= mask[1:] != mask[:-1]
    edge[:, 1:] |= mask[:, 1:] != mask[:, :-1]
    mixed[edge] = 255
    return mixed.astype(np.uint8)


def _png(image: object) -> Attachment:
    target = io.BytesIO()
    image.save(target, format="PNG")  # type: ignore[attr-defined]
    return Attachment(".png", target.getvalue())
