"""Weights of pixels between objects that nearly touch (Ronneberger et al., 2015, section 3)."""

from __future__ import annotations

import numpy as np

REACH = 4.0  # in deviations; farther away a weight would be below 0.0004 of the largest


def border_weights(mask: np.ndarray, weight: float, sigma: float, background: int, ignored: int = 255) -> np.ndarray:
    """Return what is added to a weight of 1: `weight` · exp(-(d1 + d2)² / (2 · sigma²)), on pixels of the background.

    d1 and d2 are the distances to the nearest and the second nearest object. Objects are the connected regions of every class
    but the background.

    Args:
        mask: (H, W) uint8 classes.
        weight: the largest, 10 in the paper.
        sigma: how soon it falls, in pixels, 5 in the paper.
        background: index of the class between the objects.
        ignored: value of pixels that belong to nothing.

    Returns:
        (H, W) float32.
    """
    from scipy import ndimage

    objects = np.zeros(mask.shape, np.int32)
    count = 0
    for label in np.unique(mask):
        if label not in (background, ignored):
            components, number = ndimage.label(mask == label)
            objects[components > 0] = components[components > 0] + count
            count += number
    nearest = np.full(mask.shape, np.inf, np.float32)
    second = nearest.copy()
    reach = int(np.ceil(REACH * sigma)) + 1
    for number, box in enumerate(ndimage.find_objects(objects), 1):
        if box is None:
            continue
        around = tuple(slice(max(0, side.start - reach), side.stop + reach) for side in box)
        distance = ndimage.distance_transform_edt(objects[around] != number).astype(np.float32)
        first, other = nearest[around], second[around]
        np.minimum(other, np.maximum(first, distance), out=other)
        np.minimum(first, distance, out=first)
    total = nearest + second
    added = np.where(np.isfinite(total), weight * np.exp(-np.square(np.minimum(total, 1e4)) / (2 * sigma**2)), 0.0)
    return np.where(mask == background, added, 0.0).astype(np.float32)
