"""Detection: details for the record, pictures of the test, and answers for single inputs."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from experiments.tasks.parts.average_precision import encoded
from experiments.tasks.parts.object_matching import KINDS, Found, on_cpu
from experiments.tasks.parts.tiles import in_tiles
from experiments.tasks.report import Attachment, Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from experiments.tasks.detection import Detection


class DetectionReport(Report):
    """Tells of a run of `Detection`."""

    task: Detection
    top = 100

    def __init__(self, task: Detection) -> None:
        super().__init__(task)
        self._answered: list[tuple[tuple[int, int], list[dict[str, Any]]]] = []

    def details(self) -> dict[str, Any]:
        """Per class: average precision, recall and the number of test objects; confusions, and errors by kind.

        In the confusion matrix the background is the last class: what was missed, and what was invented.
        """
        if self.task.mistakes is None:
            return {}
        per_class = {
            name: {key: None if value != value else round(value, 6) for key, value in row.items()}
            for name, row in self.task.judge.per_class.items()
        }
        return {
            "per_class": per_class,
            "confusion": self.task.mistakes.matrix.tolist(),
            "objects": {kind: self.task.mistakes.kinds[kind] for kind in KINDS},
        }

    def figures(self) -> dict[str, Callable[[], Figure | None]]:
        """Predictions beside truth, precision against recall, confusions, and how well boxes fit."""
        mistakes = self.task.mistakes
        if mistakes is None:
            return {}

        def confusions() -> Figure:
            from experiments.viz.confusion import confusion

            title = f"Confusion matrix at a score of {self.task.threshold:g}"
            return confusion(mistakes.matrix, (*self.task.spec.classes, "background"), title=title)

        def overlaps() -> Figure | None:
            from experiments.viz.charts import distributions

            if len(mistakes.overlaps) < 2:
                return None
            note = f"of {len(mistakes.overlaps):,} found objects, each with the true box that it fits best"
            groups = {"found objects": mistakes.overlaps}
            return distributions(groups, "intersection over union", title="How well boxes fit", note=note)

        return {
            "predictions": self._draw_predictions,
            "precision_recall": self._draw_curves,
            "confusion": confusions,
            "overlaps": overlaps,
        }

    def _draw_predictions(self) -> Figure | None:
        from experiments.viz.boxes import beside

        rows = [(image, self.sure(detected), true) for image, detected, true in self.task.drawn]
        return beside(
            rows, self.task.spec.classes, note=f"test images; objects of score {self.task.threshold:g} or more"
        )

    def _draw_curves(self) -> Figure | None:
        from experiments.viz.boxes import precision_recall

        return precision_recall(self.task.judge.precision, self.task.judge.per_class)

    def sure(self, detected: Found) -> Found:
        """Return the objects of an image whose score is at least `task.threshold`."""
        sure = detected["scores"] >= self.task.threshold
        return {key: value[sure] for key, value in detected.items()}

    def predict(self, inputs: Sequence[Tensor]) -> list[Found]:
        """Return what is found in each image: boxes (N, 4) in its pixels, labels and scores (N,), the surest first."""
        detections = []
        for image in inputs:
            image = image.to(self.task.device)
            large = self.task.tile is not None and max(image.shape[-2:]) > self.task.tile
            detections.append(
                in_tiles(image, self.task.tile or 0, self.task.overlap, self.task.model)
                if large
                else self.task.model([image])[0]
            )
        return detections

    def answers(self, inputs: Sequence[Tensor], top: int) -> list[dict[str, Any]]:
        """Return the objects of each image above the threshold, and the image with them drawn."""
        out = []
        for image, detected in zip(inputs, self.predict(inputs), strict=True):
            detected = on_cpu({key: value[:top] for key, value in self.sure(detected).items()})
            size = (image.shape[-2], image.shape[-1])
            if self.gathers:
                self._answered.append((size, _as_coco(detected)))
            rows = zip(
                detected["labels"].tolist(), detected["scores"].tolist(), detected["boxes"].tolist(), strict=True
            )
            objects = [
                {
                    "class": self.task.spec.classes[label],
                    "score": score,
                    **dict(zip(("x1", "y1", "x2", "y2"), box, strict=True)),
                }
                for label, score, box in rows
            ]
            out.append(
                {"objects": objects, "drawn": self._picture(image, detected), **self._attachments(detected, size)}
            )
        return out

    def _attachments(self, detected: Found, size: tuple[int, int]) -> dict[str, Attachment]:
        """Further files of one image."""
        return {}

    def _picture(self, image: Tensor, detected: Found) -> Attachment:
        from experiments.viz.boxes import drawn

        return Attachment(".png", drawn(image, detected, self.task.spec.classes))

    def together(self, names: Sequence[str]) -> dict[str, bytes]:
        """Return what all answers since the last call say, as one file in COCO's form."""
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number, (name, ((height, width), rows)) in enumerate(zip(names, self._answered, strict=True), 1):
            images.append({"id": number, "file_name": name, "height": height, "width": width})
            annotations += [
                {"id": len(annotations) + place, "image_id": number, **row} for place, row in enumerate(rows, 1)
            ]
        categories = [{"id": number, "name": name} for number, name in enumerate(self.task.spec.classes, 1)]
        content = {"images": images, "annotations": annotations, "categories": categories}
        self._answered = []
        text = io.StringIO()
        json.dump(content, text, ensure_ascii=False, indent=1)
        return {"predictions.json": text.getvalue().encode()}


def _as_coco(detected: Found) -> list[dict[str, Any]]:
    """Return the objects of an image as COCO's annotations, without their numbers; masks as runs of pixels."""
    runs = encoded(detected["masks"]) if "masks" in detected else []
    rows = []
    for place, ((x1, y1, x2, y2), label, score) in enumerate(
        zip(detected["boxes"].tolist(), detected["labels"].tolist(), detected["scores"].tolist(), strict=True)
    ):
        row: dict[str, Any] = {
            "category_id": label + 1,
            "bbox": [round(value, 2) for value in (x1, y1, x2 - x1, y2 - y1)],
            "area": round((x2 - x1) * (y2 - y1), 2),
            "iscrowd": 0,
            "score": round(score, 6),
        }
        if runs:
            row["segmentation"] = {"size": list(runs[place]["size"]), "counts": runs[place]["counts"].decode()}
            row["area"] = int((detected["masks"][place] > 0.5).sum())
        rows.append(row)
    return rows
