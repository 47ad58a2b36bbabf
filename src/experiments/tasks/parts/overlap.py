"""How well predicted masks cover true ones: counts over a whole dataset, and what follows from them."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric


def confusions(prediction: Tensor, target: Tensor, classes: int) -> Tensor:
    """Pixels of each image by true and predicted class: (B, H, W) twice -> (B, K, K) int64; others than classes are left out."""
    count = len(target)
    place = target * classes + prediction
    place = place + torch.arange(count, device=target.device).view(-1, 1, 1) * classes**2
    inside = (target >= 0) & (target < classes)
    place = torch.where(inside, place, count * classes**2).flatten()
    counts = torch.bincount(place, minlength=count * classes**2 + 1)
    return counts[:-1].view(count, classes, classes)


def ious(counts: Tensor) -> Tensor:
    """Intersection over union of each class, NaN of one that occurs neither in truth nor in prediction: (…, K, K) -> (…, K)."""
    right, true, guessed = parts_of(counts)
    return right / (true + guessed - right)


def dices(counts: Tensor) -> Tensor:
    """Twice the intersection over the sum of both, likewise."""
    right, true, guessed = parts_of(counts)
    return 2 * right / (true + guessed)


def parts_of(counts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Pixels of each class that are right, true and predicted: (…, K, K) -> three times (…, K)."""
    values = counts.double()
    return values.diagonal(dim1=-2, dim2=-1), values.sum(-1), values.sum(-2)


def measures(counts: Tensor) -> dict[str, Tensor]:
    """Mean IoU and Dice over the classes that occur in truth or prediction, and pixel accuracy, of pixels (K, K)."""
    right, true, _ = parts_of(counts)
    return {
        "mean_iou": ious(counts).nanmean().float(),
        "dice": dices(counts).nanmean().float(),
        "pixel_accuracy": (right.sum() / true.sum()).float(),
    }


class Overlap(Metric):
    """Mean IoU, mean Dice and pixel accuracy from the counts of a whole dataset.

    Means are over the classes that occur in truth or prediction.

    Args:
        classes: number of them; pixels with another value do not count.
    """

    full_state_update = False
    counts: Tensor
    last: Tensor  # the counts that `compute` saw, those of all processes

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.add_state("counts", torch.zeros(classes, classes, dtype=torch.long), dist_reduce_fx="sum")

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Adds a batch: logits (B, K, H, W) or classes (B, H, W), and classes (B, H, W)."""
        guess = prediction.argmax(1) if prediction.ndim == 4 else prediction
        self.counts += confusions(guess, target, self.classes).sum(0)

    def compute(self) -> dict[str, Tensor]:
        self.last = self.counts.clone()
        return measures(self.counts)


def boundary(mask: Tensor, label: int) -> Tensor:
    """Pixels of a class that touch another class, above, below or beside: (B, H, W) -> (B, H, W) bool."""
    inside = mask == label
    padded = F.pad(inside[:, None].float(), (1, 1, 1, 1), mode="replicate")[:, 0]  # the image's edge is no boundary
    whole = padded[:, :-2, 1:-1] * padded[:, 2:, 1:-1] * padded[:, 1:-1, :-2] * padded[:, 1:-1, 2:]
    return inside & (whole < 1)


def near(points: Tensor, radius: int) -> Tensor:
    """Pixels at most so far from any of some: (B, H, W) bool -> (B, H, W) bool."""
    steps = torch.arange(-radius, radius + 1, device=points.device)
    disc = (steps[:, None] ** 2 + steps**2 <= radius**2).float()[None, None]
    return F.conv2d(points[:, None].float(), disc, padding=radius)[:, 0] > 0.5


class BoundaryF1(Metric):
    """How well the boundaries of classes are met, to a tolerance (Csurka et al., 2013), from counts of a whole dataset.

    Precision is the share of predicted boundary pixels near a true one, recall the reverse; F1 is that of each class, and the mean
    is over classes with a boundary in truth or prediction.

    Args:
        classes: number of them; ignored pixels have another value, and what is predicted there does not count.
        tolerance: as a share of the image's diagonal; one pixel at least.
    """

    full_state_update = False
    hits: Tensor
    last: Tensor  # F1 of each class, NaN without any boundary, as `compute` found it

    def __init__(self, classes: int, tolerance: float) -> None:
        super().__init__()
        self.classes, self.tolerance = classes, tolerance
        # Of each class: predicted near a true one, predicted, true near a predicted one, true.
        self.add_state("hits", torch.zeros(classes, 4, dtype=torch.long), dist_reduce_fx="sum")

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Adds a batch: as `Overlap`."""
        guess = prediction.argmax(1) if prediction.ndim == 4 else prediction
        of_a_class = target < self.classes
        guess = torch.where(of_a_class, guess, target)
        radius = max(1, round(self.tolerance * math.hypot(*target.shape[1:])))
        there = torch.unique(torch.cat([guess.flatten(), target.flatten()]))
        for label in there[there < self.classes].tolist():
            ours, theirs = boundary(guess, label) & of_a_class, boundary(target, label) & of_a_class
            borders = [ours & near(theirs, radius), ours, theirs & near(ours, radius), theirs]
            self.hits[label] += torch.stack([border.sum() for border in borders])

    def compute(self) -> Tensor:
        hits: Any = self.hits.double()
        precision, recall = hits[:, 0] / hits[:, 1].clamp(min=1), hits[:, 2] / hits[:, 3].clamp(min=1)
        f1 = 2 * precision * recall / (precision + recall).clamp(min=1e-12)
        self.last = torch.where(hits[:, 1] + hits[:, 3] > 0, f1, torch.nan)
        return self.last.nanmean().float()
