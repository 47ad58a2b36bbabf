"""Losses over pixels: each gives a sum and what it is to be divided by, so that no batch size changes the mean of a dataset."""

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


PixelLoss = Callable[[Tensor, Tensor, "Tensor | None"], tuple[Tensor, Tensor]]


def pixel_loss(name: str, class_weights: Tensor | None, ignored: int, gamma: float) -> PixelLoss:
    """Return a loss by name: "cross_entropy", "focal", "dice", or two of these added with a plus between.

    Returns:
        A function of logits (B, K, H, W), classes (B, H, W) and further weights of pixels (B, H, W) or None. It gives two
        tensors (parts,): means over the batch, and their weights: the sum of the class weights of all pixels that are not
        ignored, or of Dice the number of images that have such pixels.
    """

    def part_loss(part: str, logits: Tensor, target: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
        seen = target.ne(ignored)
        if part == "dice":
            judged = seen.flatten(1).any(1).to(torch.float32)  # (B,)
            return (dice(logits, target, ignored) * judged).sum(), judged.sum()
        logits = logits.float()
        if part == "focal":
            loss = focal(logits, target, class_weights, ignored, gamma)
        else:
            loss = cross_entropy(logits, target, class_weights, ignored)
        heavy = seen.float()
        if class_weights is not None:
            heavy = heavy * class_weights[target.clamp(max=len(class_weights) - 1)]
        return (loss if weights is None else loss * weights).sum(), heavy.sum()

    parts = name.split("+")

    def added(logits: Tensor, target: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
        sums, heavy = (
            torch.stack(some)
            for some in zip(*(part_loss(part, logits, target, weights) for part in parts), strict=True)
        )
        return torch.where(heavy > 0, sums / heavy.clamp(min=SMOOTH), 0.0), heavy

    return added


NAMES = ("cross_entropy", "dice", "focal", "cross_entropy+dice", "focal+dice")
