"""Instance segmentation: details for the record, pictures of the test, and answers for single inputs."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from torch import Tensor

from experiments.tasks.parts.average_precision import AveragePrecision
from experiments.tasks.parts.mask_pictures import palette
from experiments.tasks.parts.object_matching import Found
from experiments.tasks.report import Attachment
from experiments.tasks.reports.detection import DetectionReport

if TYPE_CHECKING:
    from experiments.tasks.instance_segmentation import InstanceSegmentation


class InstanceSegmentationReport(DetectionReport):
    """Tells of a run of `InstanceSegmentation`."""

    task: InstanceSegmentation

    def details(self) -> dict[str, Any]:
        """As of boxes, and per class the average precision of masks."""
        about = super().details()
        judge = cast(AveragePrecision, self.task.metrics_of("test")["masks"])
        for name, row in about.get("per_class", {}).items():
            value = judge.per_class[name]["map"]
            row["mask_map"] = None if value != value else round(value, 6)
        return about

    def _attachments(self, detected: Found, size: tuple[int, int]) -> dict[str, Attachment]:
        """Return an image of numbers: 0 is background, n the n-th object of the answer, the surer above the less sure."""
        from PIL import Image

        owner = np.zeros(size, np.uint16 if len(detected["labels"]) > 255 else np.uint8)
        masks: Tensor = detected["masks"][:, 0] > 0.5
        for place in reversed(range(len(masks))):
            owner[masks[place].numpy()] = place + 1
        file = Image.fromarray(owner)
        if (
            owner.dtype == np.uint8
        ):  # a viewer shows it in the colours of the drawn objects; its values are their numbers
            from experiments.viz.boxes import COLOURS

            file.putpalette(palette(["#000000", *(COLOURS[place % len(COLOURS)] for place in range(255))]).tobytes())
        out = io.BytesIO()
        file.save(out, "PNG")
        return {"masks": Attachment(".png", out.getvalue())}
