"""Segmentation: details for the record, pictures of the test, and answers for single inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from experiments.tasks.parts.mask_pictures import mask_file, overlay_file
from experiments.tasks.parts.mask_tiles import by_tiles, largest
from experiments.tasks.parts.overlap import dices, ious, parts_of
from experiments.tasks.report import Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from experiments.tasks.segmentation import Segmentation


SHOWN = 4  # images in a picture


class SegmentationReport(Report):
    """Tells of a run of `Segmentation`."""

    task: Segmentation

    def details(self) -> dict[str, Any]:
        """Per class: IoU, Dice, precision, recall, boundary F1 and pixels of the test; the confusion; the worst images."""
        if self.task.confusion is None:
            return {}
        right, true, guessed = parts_of(self.task.confusion)
        columns = {
            "iou": ious(self.task.confusion),
            "dice": dices(self.task.confusion),
            "precision": right / guessed,
            "recall": right / true,
            "boundary_f1": self.task.boundaries.last.cpu(),
        }
        per_class = {
            name: {key: _plain(column[index]) for key, column in columns.items()} | {"pixels": int(true[index])}
            for index, name in enumerate(self.task.spec.classes)
        }
        return {"per_class": per_class, "confusion": self.task.confusion.tolist()}

    def figures(self) -> dict[str, Callable[[], Figure | None]]:
        if self.task.confusion is None:
            return {}
        every = torch.cat(self.task.image_ious).float().cpu()
        table = ious(self.task.confusion)
        return {
            "predictions": lambda: self.task.draw(
                list(range(min(SHOWN, len(every)))), every, "Predictions", "the first test images"
            ),
            "worst_images": lambda: self.task.draw(
                every.nan_to_num(2).argsort()[:SHOWN].tolist(), every, "Worst images", "by mean IoU"
            ),
            "best_images": lambda: self.task.draw(
                every.nan_to_num(-1).argsort(descending=True)[:SHOWN].tolist(), every, "Best images", "by mean IoU"
            ),
            "iou_per_class": lambda: _draw_classes(table, self.task.spec),
            "iou_histogram": lambda: _draw_histogram(every),
        }

    def predict(self, inputs: Any) -> Tensor:
        """Probabilities of the classes of each pixel, (B, K, H, W)."""
        return self.task.scores(inputs).softmax(1)

    def answers(self, inputs: Any, top: int) -> list[dict[str, Any]]:
        """Return the largest classes of each image and their shares, its mask with a palette, and the mask over the
        image.
        """
        return [self._answer(image, top) for image in inputs]

    def _answer(self, photo: Any, top: int) -> dict[str, Any]:
        spec = self.task.spec
        like = next(self.task.parameters())
        values = photo.values.to(like.device, like.dtype)
        scores = by_tiles(self.predict, values, (spec.height, spec.width), self.task.overlap)
        mask = largest(scores, photo.pixels.shape[:2])
        shares = torch.bincount(mask.flatten().long(), minlength=spec.num_classes).double() / mask.numel()
        order = shares.argsort(descending=True)[: min(top, spec.num_classes)].tolist()
        array = mask.numpy()
        return {
            "classes": [{"class": spec.classes[place], "share": float(shares[place])} for place in order],
            "mask": mask_file(array, spec.colours),
            "overlay": overlay_file(photo.pixels, array, spec.colours),
        }


def _draw_histogram(every: Tensor) -> Figure:
    from experiments.viz.charts import distributions

    return distributions(
        {"test images": every[~every.isnan()].tolist()}, "mean IoU of an image", title="IoU of the test images"
    )


def _draw_classes(table: Tensor, spec: Any) -> Figure:
    from experiments.viz.masks import class_bars

    return class_bars([None if value.isnan() else float(value) for value in table], spec.classes, spec.colours)


def _plain(value: Tensor) -> float | None:
    return None if value.isnan() else round(value.item(), 6)
