"""Losses over the pixels of an image: each gives one value an image, so that no batch size changes their mean."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

SMOOTH = 1e-6  # keeps the Dice loss of a class without a pixel finite


def cross_entropy(logits: Tensor, target: Tensor, class_weights: Tensor | None, ignored: int) -> Tensor:
    """Of each pixel, 0 where ignored: (B, K, H, W) and (B, H, W) -> (B, H, W)."""
    return F.cross_entropy(logits, target, weight=class_weights, ignore_index=ignored, reduction="none")


def focal(logits: Tensor, target: Tensor, class_weights: Tensor | None, ignored: int, gamma: float) -> Tensor:
    """Cross-entropy times (1 - p)^gamma, p of the true class (Lin et al., 2017): shapes as above."""
    plain = F.cross_entropy(logits, target, ignore_index=ignored, reduction="none")
    loss = (1 - (-plain).exp()).clamp(min=0).pow(gamma) * plain
    if class_weights is not None:
        loss = loss * class_weights[target.clamp(max=len(class_weights) - 1)]
    return loss


def mean_of_pixels(loss: Tensor, target: Tensor, ignored: int, weights: Tensor | None = None) -> Tensor:
    """Mean over the pixels of each image that are not ignored, 0 where all are: (B, H, W) twice -> (B,).

    Args:
        loss: of each pixel, 0 where ignored.
        target: classes.
        ignored: value of pixels that do not count.
        weights: (B, H, W) further weights of pixels, or None.
    """
    if weights is not None:
        loss = loss * weights
    return loss.flatten(1).sum(1) / target.ne(ignored).flatten(1).sum(1).clamp(min=1)


def dice(logits: Tensor, target: Tensor, ignored: int) -> Tensor:
    """1 - 2 |A ∩ B| / (|A| + |B|) with probabilities, a mean over the classes in each image: (B, K, H, W), (B, H, W) -> (B,).

    Milletari, Navab and Ahmadi, 2016, "V-Net", here for any number of classes; a class without a pixel in an image is left out.
    """
    seen = target.ne(ignored)[:, None]
    chances = logits.float().softmax(1) * seen
    classes = logits.shape[1]
    true = F.one_hot(target.clamp(max=classes - 1), classes).permute(0, 3, 1, 2).to(chances.dtype) * seen
    both = (chances * true).flatten(2).sum(2)  # (B, K)
    total = chances.flatten(2).sum(2) + true.flatten(2).sum(2)
    there = true.flatten(2).any(2)
    loss = (1 - 2 * both / (total + SMOOTH)) * there
    return loss.sum(1) / there.sum(1).clamp(min=1)


PixelLoss = Callable[[Tensor, Tensor, "Tensor | None"], Tensor]  # logits, target, weights of pixels -> (B,)


def pixel_loss(name: str, class_weights: Tensor | None, ignored: int, gamma: float) -> PixelLoss:
    """A loss by name: "cross_entropy", "focal", "dice", or two of these added with a plus between."""

    def one(part: str, logits: Tensor, target: Tensor, weights: Tensor | None) -> Tensor:
        if part == "dice":
            return dice(logits, target, ignored)
        logits = logits.float()
        if part == "focal":
            return mean_of_pixels(focal(logits, target, class_weights, ignored, gamma), target, ignored, weights)
        return mean_of_pixels(cross_entropy(logits, target, class_weights, ignored), target, ignored, weights)

    parts = name.split("+")

    def added(logits: Tensor, target: Tensor, weights: Tensor | None) -> Tensor:
        return torch.stack([one(part, logits, target, weights) for part in parts]).sum(0)

    return added


NAMES = ("cross_entropy", "dice", "focal", "cross_entropy+dice", "focal+dice")
