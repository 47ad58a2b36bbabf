"""What a denoising autoencoder has to undo: noise on pixels from 0 to 1."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from experiments.errors import UserError
from experiments.tasks.parts.fixed_noise import settled_noise

LIMITS = {"gaussian": 10.0, "masking": 1.0, "salt_and_pepper": 1.0, "blur": 20.0}


class Corruption:
    """Noise of one kind and level.

    Args:
        kind: "gaussian" (deviation `level`), "masking" (a share `level` of pixels turns black), "salt_and_pepper" (a share
            turns black or white), or "blur" (a Gaussian of deviation `level` pixels).
        level: how much.
        clip: whether noisy pixels are kept between 0 and 1.

    Raises:
        UserError: for an unknown kind or a level out of its range.
    """

    def __init__(self, kind: str, level: float, clip: bool) -> None:
        if kind not in LIMITS:
            raise UserError(f"task.noise={kind} is unknown: choose one of {', '.join(LIMITS)}")
        if not 0 < level <= LIMITS[kind]:
            raise UserError(f"task.level={level} must be above 0 and at most {LIMITS[kind]:g} for {kind}: try 0.5")
        self.kind, self.level, self.clip = kind, level, clip

    def __call__(self, pixels: Tensor, salt: int | None = None) -> Tensor:
        """Map (B, C, H, W) -> the same, corrupted; masks and salt are alike in all channels.

        Args:
            pixels: clean images.
            salt: an image gets the same noise whenever it comes with this number; None: other noise each time.
        """
        if self.kind == "blur":
            return self._blurred(pixels)
        shape = pixels.shape[1:] if self.kind == "gaussian" else (1, *pixels.shape[2:])
        draw = torch.randn if self.kind == "gaussian" else torch.rand
        if salt is None:
            noise = draw((len(pixels), *shape), device=pixels.device, dtype=pixels.dtype)
        else:
            noise = settled_noise(pixels, draw, shape, salt)
        if self.kind == "gaussian":
            noisy = torch.add(pixels, noise, alpha=self.level)
            return noisy.clamp_(0, 1) if self.clip else noisy
        if self.kind == "masking":
            return torch.where(noise < self.level, 0.0, pixels)
        extreme = (noise < self.level / 2).to(pixels.dtype)  # of those that change, half turn white
        return torch.where(noise < self.level, extreme, pixels)

    def _blurred(self, pixels: Tensor) -> Tensor:
        reach = min(max(1, round(3 * self.level)), *(side - 1 for side in pixels.shape[2:]))
        steps = torch.arange(-reach, reach + 1, device=pixels.device, dtype=torch.float32)
        weights = torch.exp(-0.5 * (steps / self.level) ** 2)
        weights = (weights / weights.sum()).to(pixels.dtype)
        channels = pixels.shape[1]
        rows = weights.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
        columns = weights.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
        padded = F.pad(pixels, [reach] * 4, mode="reflect")
        return F.conv2d(F.conv2d(padded, rows, groups=channels), columns, groups=channels)
