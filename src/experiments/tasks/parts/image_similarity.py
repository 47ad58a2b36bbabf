"""How alike two pictures are: mean squared error, peak signal-to-noise ratio, structural similarity."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric


def mse(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of each picture, pixels from 0 to 1: twice (B, C, H, W) -> (B,)."""
    return (prediction.float() - target.float()).square().flatten(1).mean(1)


def mae(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error of each picture: twice (B, C, H, W) -> (B,)."""
    return (prediction.float() - target.float()).abs().flatten(1).mean(1)


def psnr(prediction: Tensor, target: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each picture in decibels, at most 100: twice (B, C, H, W) -> (B,)."""
    return decibels(mse(prediction, target))


def decibels(errors: Tensor) -> Tensor:
    """Peak signal-to-noise ratios of mean squared errors, at most 100."""
    return -10 * errors.clamp(min=1e-10).log10()


def ssim(prediction: Tensor, target: Tensor) -> Tensor:
    """Structural similarity of each picture, pixels from 0 to 1: twice (B, C, H, W) -> (B,).

    Wang et al., 2004, with a window of 7×7 equal weights and sample covariances, as scikit-image computes it; smaller
    where the picture is.
    """
    side = min(7, *prediction.shape[2:])
    count = side * side
    correction = count / max(count - 1, 1)

    def local(values: Tensor) -> Tensor:
        return F.avg_pool2d(values, side, stride=1)

    x, y = prediction.float(), target.float()
    mean_x, mean_y = local(x), local(y)
    var_x = correction * (local(x * x) - mean_x * mean_x)
    var_y = correction * (local(y * y) - mean_y * mean_y)
    both = correction * (local(x * y) - mean_x * mean_y)
    c1, c2 = 0.01**2, 0.03**2
    similarity = (2 * mean_x * mean_y + c1) * (2 * both + c2) / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))
    return similarity.flatten(1).mean(1)


class PictureMean(Metric):
    """The mean of a function of pictures, (B, C, H, W) twice -> (B,), over all pictures."""

    full_state_update = False

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.add_state("total", torch.zeros((), dtype=torch.float32), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.float32), dist_reduce_fx="sum")
        self.total: Any
        self.count: Any

    def update(self, prediction: Tensor, target: Tensor) -> None:
        self.total = self.total + self.function(prediction, target).sum()
        self.count = self.count + len(prediction)

    def compute(self) -> Tensor:
        return self.total / self.count


def colourfulness(pixels: Tensor) -> float:
    """Hasler and Süsstrunk, 2003, on a scale of 255, a mean over images (N, 3, H, W): 0 is grey, 33 moderate, 82 high."""
    red, green, blue = (255 * pixels.float()).unbind(1)
    first, second = (red - green).flatten(1), (0.5 * (red + green) - blue).flatten(1)
    spread = (first.var(1, correction=0) + second.var(1, correction=0)).sqrt()
    middle = (first.mean(1).square() + second.mean(1).square()).sqrt()
    return float((spread + 0.3 * middle).mean())
