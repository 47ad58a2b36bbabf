"""Average precision as COCO defines it, over all images of all processes, by faster-coco-eval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from experiments.errors import UserError

SIZES = {"small": 1, "medium": 2, "large": 3}  # places among COCO's areas: up to 32² pixels, up to 96², and above
MOST = (1, 10, 100)  # objects an image that recall is measured with; precision with the last
HALF, THREE_QUARTERS = 0, 5  # places among the thresholds 0.50, 0.55, … 0.95 of intersection over union


class AveragePrecision(Metric):
    """Mean over classes of the area below precision and recall, over ten thresholds of intersection over union.

    A class without any object counts for nothing, and a size without any is not a number.

    Args:
        classes: names.
        masks: compare masks, not boxes.
        prefix: of the names in `names`.

    Attributes:
        precision: after `compute`, at each of 101 recalls and for each class (101, K), at a threshold of one half; -1
            of a class without objects.
        per_class: of each class `map`, `map50`, `recall` and the number of `objects`.

    Raises:
        UserError: when faster-coco-eval is not installed.
    """

    full_state_update = False

    def __init__(self, classes: Sequence[str], masks: bool = False, prefix: str = "") -> None:
        super().__init__()
        if find_spec("faster_coco_eval") is None:
            raise UserError(
                "average precision needs faster-coco-eval, which is not installed: pip install 'lightning-experiments[detection]'"
            )
        self.classes, self.masks, self.prefix = tuple(classes), masks, prefix
        self.precision: np.ndarray | None = None
        self.per_class: dict[str, dict[str, Any]] = {}
        for side in ("found", "true"):
            # A row an object: image, x1, y1, x2, y2, label, score or crowd, area, and of its mask height and width,
            # and how many bytes its run lengths take.
            self.add_state(f"{side}_rows", [], dist_reduce_fx="cat")
            self.add_state(f"{side}_bytes", [], dist_reduce_fx="cat")
        self.add_state("images", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")
        self.images: Any
        self.found_rows: Any
        self.found_bytes: Any
        self.true_rows: Any
        self.true_bytes: Any

    @property
    def names(self) -> list[str]:
        """What `compute` gives, in order."""
        sizes = [f"{kind}_{size}" for kind in ("map", "recall") for size in SIZES]
        recalls = [f"recall_{count}" for count in MOST[:-1]]
        names = ["map", "map50", "map75", *sizes[:3], "recall", *recalls, *sizes[3:]]
        return [f"{self.prefix}{name}" for name in names]

    def update(self, detections: Sequence[Mapping[str, Tensor]], target: Sequence[Mapping[str, Tensor]]) -> None:
        """Adds images: what was found in each (boxes, labels, scores, perhaps masks), and what there is."""
        several = torch.distributed.is_available() and torch.distributed.is_initialized()
        before = (torch.distributed.get_rank() if several else 0) << 32
        for detected, true in zip(detections, target, strict=True):
            # Differs between processes, and in their order: of equal scores the first image comes first, as for one process.
            image = before + int(self.images)
            self._add("found", image, detected, detected["scores"], torch.zeros_like(detected["scores"]))
            zeros = torch.zeros(len(true["labels"]))
            self._add("true", image, true, true.get("iscrowd", zeros), true.get("area", zeros))
            self.images += 1

    def _add(self, side: str, image: int, objects: Mapping[str, Tensor], value: Tensor, area: Tensor) -> None:
        boxes = objects["boxes"]
        lengths = torch.zeros(len(boxes), 3)
        text = np.zeros(0, np.uint8)
        if self.masks:
            runs = encoded(objects["masks"])
            text = np.frombuffer(b"".join(run["counts"] for run in runs), np.uint8)
            lengths = torch.tensor([[*run["size"], len(run["counts"])] for run in runs]).view(-1, 3)
        columns = [torch.full((len(boxes), 1), image), boxes, objects["labels"][:, None], value[:, None], area[:, None]]
        rows = torch.cat([part.to("cpu", torch.float64) for part in (*columns, lengths)], dim=1)
        exact = torch.float32 if self.device.type == "mps" else torch.float64
        getattr(self, f"{side}_rows").append(rows.to(self.device, exact))
        getattr(self, f"{side}_bytes").append(torch.from_numpy(text.copy()).to(self.device))

    def compute(self) -> dict[str, Tensor]:
        """Return every name of `names`."""
        from faster_coco_eval import COCO, COCOeval_faster  # type: ignore[import-untyped]

        true, detected = self._rows("true"), self._rows("found")
        images = sorted({row["image_id"] for row in (*true, *detected)})
        if not true:
            return {name: torch.tensor(float("nan")) for name in self.names}
        sides = []
        for rows in (true, detected):
            side = COCO()
            side.dataset = {
                "images": [{"id": image, "height": 0, "width": 0} for image in images],
                "annotations": rows,
                "categories": [{"id": number, "name": name} for number, name in enumerate(self.classes)],
            }
            side.createIndex()
            sides.append(side)
        judge = COCOeval_faster(*sides, iouType="segm" if self.masks else "bbox")
        judge.params.maxDets = list(MOST)
        judge.evaluate()
        judge.accumulate()
        # Thresholds, recalls, classes, areas, most objects; and recall without the second.
        precision, recall = judge.eval["precision"], judge.eval["recall"]
        self.precision = precision[HALF, :, :, 0, -1]
        values = {
            "map": _mean(precision[..., 0, -1]),
            "map50": _mean(precision[HALF, ..., 0, -1]),
            "map75": _mean(precision[THREE_QUARTERS, ..., 0, -1]),
            **{f"map_{size}": _mean(precision[..., place, -1]) for size, place in SIZES.items()},
            "recall": _mean(recall[..., 0, -1]),
            **{f"recall_{count}": _mean(recall[..., 0, place]) for place, count in enumerate(MOST[:-1])},
            **{f"recall_{size}": _mean(recall[..., place, -1]) for size, place in SIZES.items()},
        }
        labels = [row["category_id"] for row in true if not row["iscrowd"]]
        self.per_class = {
            name: {
                "map": _mean(precision[:, :, number, 0, -1]),
                "map50": _mean(precision[HALF, :, number, 0, -1]),
                "recall": _mean(recall[:, number, 0, -1]),
                "objects": labels.count(number),
            }
            for number, name in enumerate(self.classes)
        }
        return {f"{self.prefix}{name}": torch.tensor(value, dtype=torch.float32) for name, value in values.items()}

    def _rows(self, side: str) -> list[dict[str, Any]]:
        """Return the objects of one side as COCO's annotations."""
        parts, texts = getattr(self, f"{side}_rows"), getattr(self, f"{side}_bytes")
        if isinstance(parts, list):
            parts = torch.cat(parts) if parts else torch.zeros(0, 11)
            texts = torch.cat(texts) if texts else torch.zeros(0, dtype=torch.uint8)
        rows, text = parts.cpu().double(), texts.cpu().numpy().tobytes()
        rows[:, 3:5] -= rows[:, 1:3]
        areas = torch.where(rows[:, 7] > 0, rows[:, 7], rows[:, 3] * rows[:, 4]).tolist()
        whole = rows[:, [0, 5, 8, 9, 10]].long().tolist()
        boxes, values = rows[:, 1:5].tolist(), rows[:, 6].tolist()
        out, start = [], 0
        for number, (numbers, box, value, area) in enumerate(zip(whole, boxes, values, areas, strict=True), 1):
            image, label, height, width, length = numbers
            row = {"id": number, "image_id": image, "category_id": label, "bbox": box, "area": area, "iscrowd": 0}
            row |= {"score": value} if side == "found" else {"iscrowd": int(value)}
            if self.masks:
                counts = text[start : start + length]
                start += length
                row["segmentation"] = row["rle"] = {"size": [height, width], "counts": counts}
                row["area"] = area if rows[number - 1, 7] > 0 else _area(row["rle"])
            out.append(row)
        return out


def encoded(masks: Tensor) -> list[dict[str, Any]]:
    """Run lengths of masks (N, H, W), or (N, 1, H, W) of probabilities, in COCO's form."""
    from faster_coco_eval import mask  # type: ignore[import-untyped]

    if masks.ndim == 4:
        masks = masks[:, 0] > 0.5
    pixels = masks.to("cpu", torch.uint8).permute(1, 2, 0).contiguous().numpy()
    return mask.encode(np.asfortranarray(pixels)) if len(masks) else []


def _area(runs: dict[str, Any]) -> float:
    from faster_coco_eval import mask

    return float(mask.area(runs))


def _mean(values: np.ndarray) -> float:
    """Of what is known."""
    defined = values[values > -1]
    return float(defined.mean()) if defined.size else float("nan")
