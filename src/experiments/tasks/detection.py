"""Detection: a box and a class for each object of an image."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torchmetrics import MetricCollection

from experiments.contracts import FindsObjects
from experiments.errors import UserError
from experiments.tasks.base import Task
from experiments.tasks.parts.average_precision import AveragePrecision
from experiments.tasks.parts.object_matching import Found, Mistakes, on_cpu
from experiments.tasks.report import Report
from experiments.tasks.reports.detection import DetectionReport

SHOWN = 8  # test images that are drawn


class Detection(Task):
    """The sum of a detector's losses; mean average precision and recall as COCO defines them.

    Validation and test look for objects and compute no loss: that would be a second pass.

    Args:
        model: with targets gives losses by name, without gives found objects: see `models`.
        spec: a `DetectionSpec`.
        optimizer: as in `Task`.
        scheduler: as in `Task`.
        threshold: least score of an object that is drawn, told of, and counted in the confusion matrix; average
            precision counts them all.
        tile: predict images with a longer side in overlapping tiles of so many pixels; None: as a whole.
        overlap: share of a tile that the next one has too.

    Raises:
        UserError: a value is out of range, or faster-coco-eval is missing.
    """

    report_class: type[Report] = DetectionReport
    predict_keys: tuple[str, ...] = ("threshold", "tile", "overlap")

    monitor = ("val/map", "max")
    cacheable = True

    def __init__(
        self,
        model: nn.Module,
        spec: Any,
        optimizer: Any,
        scheduler: Any,
        *,
        threshold: float,
        tile: int | None,
        overlap: float,
    ) -> None:
        if not 0 <= threshold < 1:
            raise UserError(f"task.threshold={threshold} must lie in [0, 1): try 0.5")
        if tile is not None and tile < 32:
            raise UserError(f"task.tile={tile} is in pixels and must be 32 or more, or null: try task.tile=640")
        if not 0 <= overlap < 1:
            raise UserError(f"task.overlap={overlap} must lie in [0, 1): try 0.2")
        super().__init__(model, spec, optimizer, scheduler)
        self.threshold, self.tile, self.overlap = threshold, tile, overlap
        self.mistakes: Mistakes | None = None
        self.drawn: list[tuple[Tensor, Found, Found]] = []

    def on_fit_start(self) -> None:
        if isinstance(self.model, FindsObjects):  # one of torchvision's, whose import has been paid for
            from experiments.speedups import roi_align

            roi_align.install()

    @staticmethod
    def outputs(spec: Any) -> dict[str, Any]:
        return {"num_classes": spec.num_classes}

    def make_metrics(self) -> MetricCollection:
        return MetricCollection({"boxes": AveragePrecision(self.spec.classes)}, compute_groups=False)

    def metric_names(self, split: str) -> list[str]:
        judges = [cast(AveragePrecision, metric) for metric in self.metrics_of(split).values()]
        return [f"{split}/{name}" for judge in judges for name in judge.names]

    def training_step(self, batch: tuple[list[Tensor], list[Found]], batch_idx: int) -> Tensor | None:
        images, targets = batch
        losses: dict[str, Tensor] = self.model(images, targets)
        loss = torch.stack([part.float() for part in losses.values()]).sum()
        parts = {name: part.detach() * len(targets) for name, part in losses.items()}
        self.sums["train"].add(len(targets), loss=loss.detach(), **parts)
        return loss if self.learns else None

    def test_step(self, batch: tuple[list[Tensor], list[Found]], batch_idx: int) -> dict[str, Tensor]:
        self._look("test", batch)
        return {}

    def validation_step(self, batch: tuple[list[Tensor], list[Found]], batch_idx: int) -> None:
        self._look("val", batch)

    def _look(self, split: str, batch: tuple[list[Tensor], list[Found]]) -> None:
        images, targets = batch
        detections = self.model(images)
        self.metrics_of(split).update(detections, targets)
        if split == "test":
            assert self.mistakes is not None
            for image, detected, target in zip(images, detections, targets, strict=True):
                self.mistakes.add(detected, target)
                if len(self.drawn) < SHOWN:
                    self.drawn.append((image.cpu(), on_cpu(detected), on_cpu(target)))

    def on_test_start(self) -> None:
        self.mistakes = Mistakes(self.spec.num_classes, self.threshold)
        self.drawn = []

    @property
    def judge(self) -> AveragePrecision:
        """What judged the test."""
        return cast(AveragePrecision, self.metrics_of("test")["boxes"])
