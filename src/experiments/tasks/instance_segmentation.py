"""Instance segmentation: a mask and a class for each object of an image."""

from __future__ import annotations

import io
from typing import Any, cast

import numpy as np
from torch import Tensor, nn
from torchmetrics import MetricCollection

from experiments.errors import UserError
from experiments.tasks.base import Attachment
from experiments.tasks.detection import Detection, Found
from experiments.tasks.parts.average_precision import AveragePrecision


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

    def details(self) -> dict[str, Any]:
        """As of boxes, and per class the average precision of masks."""
        found = super().details()
        judge = cast(AveragePrecision, self.metrics_of("test")["masks"])
        for name, row in found.get("per_class", {}).items():
            value = judge.per_class[name]["map"]
            row["mask_map"] = None if value != value else round(value, 6)
        return found

    def _attachments(self, found: Found, size: tuple[int, int]) -> dict[str, Attachment]:
        """An image of numbers: 0 is background, n the n-th object of the answer, the surer above the less sure."""
        from PIL import Image

        owner = np.zeros(size, np.uint16 if len(found["labels"]) > 255 else np.uint8)
        masks: Tensor = found["masks"][:, 0] > 0.5
        for place in reversed(range(len(masks))):
            owner[masks[place].numpy()] = place + 1
        out = io.BytesIO()
        Image.fromarray(owner).save(out, "PNG")
        return {"masks": Attachment(".png", out.getvalue())}
