"""Which found object is which true one, and what went wrong with the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import torch
from torch import Tensor
from torchvision.ops import box_iou  # type: ignore[import-untyped]

OVERLAP = 0.5  # intersection over union from which two boxes are of one object
NEAR = 0.1  # and from which one is a bad try at the other
KINDS = ("right", "confused", "badly_placed", "invented", "missed")

Found = dict[str, Tensor]  # of one image: boxes (N, 4), labels and scores (N,)


class Mistakes:
    """Counts over images: a matrix of classes with the background as the last, and errors by kind.

    Args:
        classes: their number.
        threshold: least score of an object that counts as found.

    Attributes:
        matrix: (K + 1, K + 1) counts; rows are true classes, columns found ones.
        kinds: how often each of `KINDS` was seen.
        overlaps: intersection over union of each found object with the true one that it fits best.
    """

    def __init__(self, classes: int, threshold: float) -> None:
        self.classes, self.threshold = classes, threshold
        self.matrix = torch.zeros(classes + 1, classes + 1, dtype=torch.long)
        self.kinds: Counter[str] = Counter()
        self.overlaps: list[float] = []

    def add(self, detected: Mapping[str, Tensor], true: Mapping[str, Tensor]) -> dict[str, list[int]]:
        """Adds one image; the places of its found objects that are right and wrong, and of true ones that are missed.

        The surest are matched first, each with the true box that it overlaps most and nobody has yet.
        """
        sure = detected["scores"] >= self.threshold
        boxes, labels = detected["boxes"][sure].float().cpu(), detected["labels"][sure].cpu()
        crowd = (
            true["iscrowd"].bool().cpu() if "iscrowd" in true else torch.zeros(len(true["labels"]), dtype=torch.bool)
        )
        wanted, classes = true["boxes"].float().cpu(), true["labels"].cpu()
        overlap = box_iou(boxes, wanted) if len(boxes) and len(wanted) else torch.zeros(len(boxes), len(wanted))
        overlap[:, crowd] = 0.0
        inside = _shares_inside(boxes, wanted) * (crowd & (labels[:, None] == classes))
        taken: set[int] = set()
        seen: dict[str, list[int]] = {"right": [], "wrong": [], "missed": []}
        for place in range(len(boxes)):
            label, row = int(labels[place]), overlap[place]
            best = max(row.tolist(), default=0.0)
            free = [i for i in range(len(wanted)) if i not in taken and not crowd[i] and row[i] >= OVERLAP]
            # Of those it overlaps enough, the one of its own class; else the one it overlaps most.
            match = max(free, key=lambda i: (bool(classes[i] == label), float(row[i])), default=None)
            if match is None and bool((inside[place] >= OVERLAP).any()):
                continue  # inside a crowd of its class: neither right nor wrong
            self.overlaps.append(best)
            if match is not None:
                taken.add(match)
                self.matrix[int(classes[match]), label] += 1
                right = int(classes[match]) == label
                self.kinds["right" if right else "confused"] += 1
                seen["right" if right else "wrong"].append(place)
                continue
            self.matrix[self.classes, label] += 1
            near = [i for i in range(len(wanted)) if NEAR <= row[i] < OVERLAP and classes[i] == label]
            self.kinds["badly_placed" if near else "invented"] += 1
            seen["wrong"].append(place)
        for place in range(len(wanted)):
            if place not in taken and not crowd[place]:
                self.matrix[int(classes[place]), self.classes] += 1
                self.kinds["missed"] += 1
                seen["missed"].append(place)
        return seen


def _shares_inside(boxes: Tensor, regions: Tensor) -> Tensor:
    """Return which share of each box lies in each region, as COCO compares objects with crowds: (N, 4), (M, 4) -> (N, M)."""
    least, most = torch.maximum(boxes[:, None, :2], regions[:, :2]), torch.minimum(boxes[:, None, 2:], regions[:, 2:])
    sides = boxes[:, 2:] - boxes[:, :2]
    return (most - least).clamp(min=0).prod(2) / sides.prod(1, keepdim=True).clamp(min=1e-9)


def on_cpu(tensors: Mapping[str, Tensor]) -> Found:
    return {key: value.detach().cpu() for key, value in tensors.items()}
