"""What needs no network: every pixel of the most frequent class, and a threshold of the grey value."""

from __future__ import annotations

import torch
from torch import Tensor

from experiments.tasks.parts.overlap import ious


def most_frequent(train: Tensor, test: Tensor) -> Tensor:
    """Return the confusion of a guess that is the same everywhere: pixels by class and grey value, (K, 256) twice ->
    (K, K).
    """
    true = test.sum(1)
    counts = torch.zeros(len(true), len(true), dtype=torch.long)
    counts[:, train.sum(1).argmax()] = true
    return counts


def threshold(train: Tensor, test: Tensor) -> Tensor:
    """Return the confusion of the threshold of the grey value that has the best mean IoU in training, of two classes.

    Args:
        train: (2, 256) training pixels by class and grey value.
        test: likewise.

    Returns:
        (2, 2), true by predicted.
    """
    candidates = _confusions(train)
    return _confusions(test)[ious(candidates).nan_to_num().mean(1).argmax()]


def _confusions(pixels: Tensor) -> Tensor:
    """Of every threshold, and which class lies below: (2, 256) -> (514, 2, 2)."""
    below = torch.cat([pixels.new_zeros(2, 1), pixels.cumsum(1)], dim=1).t()  # (257, 2)
    above = pixels.sum(1) - below
    first_below = torch.stack([below, above], dim=2)  # (257, true, predicted)
    return torch.cat([first_below, first_below.flip(2)])
