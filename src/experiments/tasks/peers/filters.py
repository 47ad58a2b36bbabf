"""Classical filters against noise, by scikit-image: median, Gaussian, and non-local means (Buades et al., 2005)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from experiments.tasks.parts.image_similarity import psnr


def _median(image: np.ndarray, side: float) -> np.ndarray:
    from skimage.filters import median

    return median(image, np.ones((int(side), int(side))))


def _gaussian(image: np.ndarray, sigma: float) -> np.ndarray:
    from skimage.filters import gaussian

    return gaussian(image, sigma)


def _non_local_means(image: np.ndarray, strength: float) -> np.ndarray:
    from skimage.restoration import denoise_nl_means

    # scikit-image advises a strength of 0.8 deviations where the deviation of the noise is given.
    return denoise_nl_means(image, patch_size=5, patch_distance=6, h=strength, sigma=strength / 0.8, fast_mode=True)


# Each with the settings it may choose from.
FILTERS: dict[str, tuple[Callable[[np.ndarray, float], Any], tuple[float, ...]]] = {
    "median": (_median, (3, 5)),
    "gaussian": (_gaussian, (0.5, 0.75, 1.0, 1.25, 1.5, 2.0)),
    "non-local means": (_non_local_means, (0.05, 0.1, 0.2, 0.3, 0.4, 0.5)),
}


def apply(name: str, setting: float, pixels: Tensor) -> Tensor:
    """Return one filter on each channel of each image, (N, C, H, W) -> (N, C, H, W) within 0 and 1."""
    function = FILTERS[name][0]
    images = pixels.double().numpy()
    done = np.stack([np.stack([function(channel, setting) for channel in image]) for image in images])
    return torch.from_numpy(done).float().clamp(0, 1)


def tuned(noisy: Tensor, clean: Tensor) -> dict[str, float]:
    """Return the setting of each filter that restores some images best, in PSNR: name -> setting."""
    return {
        name: max(settings, key=lambda setting: float(psnr(apply(name, setting, noisy), clean).mean()))
        for name, (_, settings) in FILTERS.items()
    }
