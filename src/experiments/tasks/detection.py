"""Detection: a box and a class for each object of an image."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torchmetrics import MetricCollection

from experiments.errors import UserError
from experiments.tasks.base import Attachment, Task
from experiments.tasks.parts.average_precision import AveragePrecision, encoded
from experiments.tasks.parts.matching import KINDS, Mistakes
from experiments.tasks.parts.tiles import in_tiles

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Found = dict[str, Tensor]
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

    monitor = ("val/map", "max")
    top = 100

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
        self._drawn: list[tuple[Tensor, Found, Found]] = []
        self._answered: list[tuple[tuple[int, int], Found]] = []

    @staticmethod
    def outputs(spec: Any) -> dict[str, Any]:
        return {"num_classes": spec.num_classes}

    def make_metrics(self) -> MetricCollection:
        return MetricCollection({"boxes": AveragePrecision(self.spec.classes)}, compute_groups=False)

    def metric_names(self, part: str) -> list[str]:
        judges = [cast(AveragePrecision, one) for one in self.metrics_of(part).values()]
        return [f"{part}/{name}" for judge in judges for name in judge.names]

    def training_step(self, batch: tuple[list[Tensor], list[Found]], batch_idx: int) -> Tensor | None:
        images, targets = batch
        losses: dict[str, Tensor] = self.model(images, targets)
        loss = torch.stack([one.float() for one in losses.values()]).sum()
        parts = {name: one.detach() * len(images) for name, one in losses.items()}
        self.sums["train"].add(len(images), loss=loss.detach(), **parts)
        return loss if self.learns else None

    def test_step(self, batch: tuple[list[Tensor], list[Found]], batch_idx: int) -> dict[str, Tensor]:
        self._look("test", batch)
        return {}

    def validation_step(self, batch: tuple[list[Tensor], list[Found]], batch_idx: int) -> None:
        self._look("val", batch)

    def _look(self, part: str, batch: tuple[list[Tensor], list[Found]]) -> None:
        images, targets = batch
        found = self.model(images)
        self.metrics_of(part).update(found, targets)
        if part == "test":
            assert self.mistakes is not None
            for image, one, target in zip(images, found, targets, strict=True):
                self.mistakes.add(one, target)
                if len(self._drawn) < SHOWN:
                    self._drawn.append((image.cpu(), _on_cpu(one), _on_cpu(target)))

    def on_test_start(self) -> None:
        self.mistakes = Mistakes(self.spec.num_classes, self.threshold)
        self._drawn = []

    @property
    def judge(self) -> AveragePrecision:
        """What judged the test."""
        return cast(AveragePrecision, self.metrics_of("test")["boxes"])

    def details(self) -> dict[str, Any]:
        """Per class: average precision, recall and the number of test objects; confusions, and errors by kind.

        In the confusion matrix the background is the last class: what was missed, and what was invented.
        """
        if self.mistakes is None:
            return {}
        per_class = {
            name: {key: None if value != value else round(value, 6) for key, value in row.items()}
            for name, row in self.judge.per_class.items()
        }
        return {
            "per_class": per_class,
            "confusion": self.mistakes.matrix.tolist(),
            "objects": {kind: self.mistakes.kinds[kind] for kind in KINDS},
        }

    def figures(self) -> dict[str, Callable[[], Figure | None]]:
        """Predictions beside truth, precision against recall, confusions, and how well boxes fit."""
        mistakes = self.mistakes
        if mistakes is None:
            return {}

        def confusions() -> Figure:
            from experiments.viz.confusion import confusion

            title = f"Confusion matrix at a score of {self.threshold:g}"
            return confusion(mistakes.matrix, (*self.spec.classes, "background"), title=title)

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

        rows = [(image, self._sure(found), true) for image, found, true in self._drawn]
        return beside(rows, self.spec.classes, note=f"test images; objects of score {self.threshold:g} or more")

    def _draw_curves(self) -> Figure | None:
        from experiments.viz.boxes import precision_recall

        return precision_recall(self.judge.precision, self.judge.per_class)

    def _sure(self, found: Found) -> Found:
        sure = found["scores"] >= self.threshold
        return {key: value[sure] for key, value in found.items()}

    def predict(self, inputs: Sequence[Tensor]) -> list[Found]:
        """What is found in each image: boxes (N, 4) in its pixels, labels and scores (N,), the surest first."""
        found = []
        for image in inputs:
            image = image.to(self.device)
            large = self.tile is not None and max(image.shape[-2:]) > self.tile
            found.append(in_tiles(image, self.tile or 0, self.overlap, self.model) if large else self.model([image])[0])
        return found

    def answers(self, inputs: Sequence[Tensor], top: int) -> list[dict[str, Any]]:
        """The objects of each image above the threshold, and the image with them drawn."""
        out = []
        for image, found in zip(inputs, self.predict(inputs), strict=True):
            found = _on_cpu({key: value[:top] for key, value in self._sure(found).items()})
            size = (image.shape[-2], image.shape[-1])
            self._answered.append((size, found))
            rows = zip(found["labels"].tolist(), found["scores"].tolist(), found["boxes"].tolist(), strict=True)
            objects = [
                {
                    "class": self.spec.classes[label],
                    "score": score,
                    **dict(zip(("x1", "y1", "x2", "y2"), box, strict=True)),
                }
                for label, score, box in rows
            ]
            out.append({"objects": objects, "drawn": self._picture(image, found), **self._attachments(found, size)})
        return out

    def _attachments(self, found: Found, size: tuple[int, int]) -> dict[str, Attachment]:
        """Further files of one image."""
        return {}

    def _picture(self, image: Tensor, found: Found) -> Attachment:
        from experiments.viz.boxes import drawn

        return Attachment(".png", drawn(image, found, self.spec.classes))

    def together(self, names: Sequence[str]) -> dict[str, bytes]:
        """What all answers since the last call say, as one file in COCO's form."""
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number, (name, ((height, width), found)) in enumerate(zip(names, self._answered, strict=True), 1):
            images.append({"id": number, "file_name": name, "height": height, "width": width})
            runs = encoded(found["masks"]) if "masks" in found else []
            for place, ((x1, y1, x2, y2), label, score) in enumerate(
                zip(found["boxes"].tolist(), found["labels"].tolist(), found["scores"].tolist(), strict=True)
            ):
                row: dict[str, Any] = {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": label + 1,
                    "bbox": [round(value, 2) for value in (x1, y1, x2 - x1, y2 - y1)],
                    "area": round((x2 - x1) * (y2 - y1), 2),
                    "iscrowd": 0,
                    "score": round(score, 6),
                }
                if runs:
                    row["segmentation"] = {"size": list(runs[place]["size"]), "counts": runs[place]["counts"].decode()}
                annotations.append(row)
        categories = [{"id": number, "name": name} for number, name in enumerate(self.spec.classes, 1)]
        content = {"images": images, "annotations": annotations, "categories": categories}
        self._answered = []
        text = io.StringIO()
        json.dump(content, text, ensure_ascii=False, indent=1)
        return {"predictions.json": text.getvalue().encode()}


def _on_cpu(one: Mapping[str, Tensor]) -> Found:
    return {key: value.detach().cpu() for key, value in one.items()}
