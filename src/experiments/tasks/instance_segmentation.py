"""Instance segmentation: a mask and a class for each object of an image."""

from __future__ import annotations

from typing import Any

from torch import nn
from torchmetrics import MetricCollection

from experiments.errors import UserError
from experiments.tasks.detection import Detection
from experiments.tasks.parts.average_precision import AveragePrecision
from experiments.tasks.report import Report
from experiments.tasks.reports.instance_segmentation import InstanceSegmentationReport


class InstanceSegmentation(Detection):
    """Detection with a mask for each object; average precision of boxes, and of masks as `mask_map` and so on.

    Args:
        model: as in `Detection`, with masks.
        spec: a `DetectionSpec` with masks.
        optimizer: as in `Task`.
        scheduler: as in `Task`.
        threshold: as in `Detection`.
        tile: likewise.
        overlap: likewise.

    Raises:
        UserError: as in `Detection`, and when the data have no masks.
    """

    report_class: type[Report] = InstanceSegmentationReport

    monitor = ("val/mask_map", "max")

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
        if not spec.masks:
            raise UserError("task=instance_segmentation needs a mask for each object: set data.targets=instances")
        super().__init__(model, spec, optimizer, scheduler, threshold=threshold, tile=tile, overlap=overlap)

    def make_metrics(self) -> MetricCollection:
        judges: dict[str, Any] = {
            "boxes": AveragePrecision(self.spec.classes),
            "masks": AveragePrecision(self.spec.classes, masks=True, prefix="mask_"),
        }
        return MetricCollection(judges, compute_groups=False)
