"""Metrics over pixels, equal to NumPy's count over the whole dataset whatever the batch size; losses; tiles."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from experiments.tasks.parts.mask_tiles import by_tiles, largest, places
from experiments.tasks.parts.overlap import BoundaryF1, Overlap, confusions, ious
from experiments.tasks.parts.pixel_losses import dice, pixel_loss
from experiments.tasks.peers.pixels import most_frequent, threshold

CLASSES = 4


def data(count: int = 7, side: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Blocky predictions and truths (N, H, W), with ignored pixels, and a class that hardly occurs."""
    rng = np.random.default_rng(0)
    coarse = rng.choice(CLASSES, (2, count, side // 4, side // 4), p=[0.5, 0.3, 0.19, 0.01])
    guess, true = coarse.repeat(4, axis=2).repeat(4, axis=3)
    true[1] = guess[1]
    true[:, :3] = 255
    return guess, true


def by_hand(guess: np.ndarray, true: np.ndarray) -> dict[str, float]:
    labelled = true != 255
    both = [(labelled & (true == k) & (guess == k)).sum() for k in range(CLASSES)]
    either = [(labelled & ((true == k) | (guess == k))).sum() for k in range(CLASSES)]
    total = [(labelled & (true == k)).sum() + (labelled & (guess == k)).sum() for k in range(CLASSES)]
    return {
        "mean_iou": float(np.mean([b / e for b, e in zip(both, either, strict=True) if e])),
        "dice": float(np.mean([2 * b / t for b, t in zip(both, total, strict=True) if t])),
        "pixel_accuracy": float((guess == true)[labelled].mean()),
    }


def boundary_by_hand(guess: np.ndarray, true: np.ndarray, radius: int) -> float:
    scores = []
    for label in range(CLASSES):
        hits = np.zeros(4)
        for g, t in zip(guess, true, strict=True):
            labelled = t != 255
            g = np.where(labelled, g, 255)
            points = []
            for mask in (g == label, t == label):
                edge = np.zeros_like(mask)
                for y, x in zip(*np.nonzero(mask), strict=True):
                    around = [(y + dy, x + dx) for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0))]
                    edge[y, x] = any(
                        0 <= a < mask.shape[0] and 0 <= b < mask.shape[1] and not mask[a, b] for a, b in around
                    )
                points.append(np.argwhere(edge & labelled))
            ours, theirs = points
            close = [
                sum(
                    bool(len(others)) and min(math.hypot(*(pixel - other)) for other in others) <= radius
                    for pixel in some
                )
                for some, others in ((ours, theirs), (theirs, ours))
            ]
            hits += [close[0], len(ours), close[1], len(theirs)]
        if hits[1] + hits[3]:
            precision, recall = hits[0] / max(hits[1], 1), hits[2] / max(hits[3], 1)
            scores.append(2 * precision * recall / (precision + recall) if precision + recall else 0.0)
    return float(np.mean(scores))


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 3, 7])
def test_metrics_are_of_the_dataset(size: int) -> None:
    guess, true = data()
    overlap, boundaries = Overlap(CLASSES), BoundaryF1(CLASSES, 0.04)
    for start in range(0, len(guess), size):
        some = torch.from_numpy(guess[start : start + size]), torch.from_numpy(true[start : start + size])
        overlap.update(F.one_hot(some[0], CLASSES).permute(0, 3, 1, 2).float(), some[1])
        boundaries.update(*some)
    metrics = {name: float(value) for name, value in overlap.compute().items()}
    assert metrics == pytest.approx(by_hand(guess, true), rel=1e-6)
    assert float(boundaries.compute()) == pytest.approx(boundary_by_hand(guess, true, 1), rel=1e-6)


def test_metrics_are_torchmetrics_s() -> None:
    from torchmetrics.classification import MulticlassJaccardIndex

    guess, true = (torch.from_numpy(batch) for batch in data())
    theirs = MulticlassJaccardIndex(CLASSES, average=None, ignore_index=255)
    assert torch.allclose(ious(confusions(guess, true, CLASSES).sum(0)).float(), theirs(guess, true), atol=1e-6)


def mean(name: str, logits: torch.Tensor, target: torch.Tensor, weights: torch.Tensor | None, gamma: float = 2.0):
    return pixel_loss(name, weights, 255, gamma)(logits, target, None)[0].sum()


def test_losses_are_the_field_s() -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(3, CLASSES, 6, 5), torch.randint(0, CLASSES, (3, 6, 5))
    target[0, :2] = 255
    weights = torch.tensor([0.5, 1.0, 2.0, 4.0])
    for some in (None, weights):
        right = F.cross_entropy(logits, target, weight=some, ignore_index=255)
        assert torch.allclose(mean("cross_entropy", logits, target, some), right)
        assert torch.allclose(mean("focal", logits, target, some, gamma=0.0), right)
    plain = F.cross_entropy(logits, target, ignore_index=255, reduction="none")[target != 255]
    each = weights[target[target != 255]]
    right = ((1 - (-plain).exp()) ** 2 * plain * each).sum() / each.sum()
    assert torch.allclose(mean("focal", logits, target, weights), right, atol=1e-6)
    both = mean("cross_entropy", logits, target, None) + dice(logits, target, 255).mean()
    assert torch.allclose(mean("cross_entropy+dice", logits, target, None), both)
    sure = 50.0 * F.one_hot(target.clamp(max=CLASSES - 1), CLASSES).permute(0, 3, 1, 2)
    assert dice(sure, target, 255).abs().max() < 1e-5


def test_ignored_pixels_change_nothing() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, CLASSES, 6, 5)
    target = torch.randint(0, CLASSES, (2, 6, 5))
    target[:, :2] = 255
    weights = torch.tensor([1.0, 2.0, 1.0, 3.0])
    for name in ("cross_entropy", "focal", "dice", "cross_entropy+dice"):
        loss = mean(name, logits, target, weights)
        assert torch.allclose(loss, mean(name, logits[:, :, 2:], target[:, 2:], weights), atol=1e-6)
        nothing = torch.full_like(target, 255)
        more = torch.cat([logits, logits]), torch.cat([target, nothing])
        assert torch.allclose(mean(name, *more, weights), loss, atol=1e-6)
        empty = mean(name, logits.requires_grad_(), nothing, weights)
        assert empty == 0 and torch.autograd.grad(empty, logits)[0].isfinite().all()
        logits = logits.detach()


def test_peers_by_hand() -> None:
    train = torch.zeros(2, 256, dtype=torch.long)
    train[0, 10:100], train[1, 90:200] = 1, 2
    assert most_frequent(train, train).tolist() == [[0, 90], [0, 220]]
    peers = threshold(train, train)
    best = max(
        float(
            ious(
                torch.tensor([[train[0, :t].sum(), train[0, t:].sum()], [train[1, :t].sum(), train[1, t:].sum()]])
            ).mean()
        )
        for t in range(257)
    )
    assert float(ious(peers).mean()) == pytest.approx(best)


def test_tiles_cover_and_leave_no_seam() -> None:
    assert places(10, 10, 0.25) == [0] and places(8, 10, 0.25) == [0]
    for whole, tile, overlap in ((100, 30, 0.25), (31, 30, 0.5), (97, 16, 0.0)):
        starts = places(whole, tile, overlap)
        assert starts[0] == 0 and starts[-1] == whole - tile
        assert max(b - a for a, b in pairwise(starts)) <= tile * (1 - overlap) + 1
    image = torch.randn(1, 3, 50, 37)
    pointwise = by_tiles(lambda some: some * 2 + 1, image, (16, 12), 0.25)
    assert torch.allclose(pointwise, image[0] * 2 + 1, atol=1e-5)
    assert torch.equal(by_tiles(lambda some: some, image, (50, 37), 0.25), image[0])
    assert torch.equal(largest(image[0], (50, 37)), image[0].argmax(0).to(torch.uint8))
    assert largest(image[0], (100, 74)).shape == (100, 74)
