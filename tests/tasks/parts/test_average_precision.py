"""Average precision equals that of COCO's own tools; mistakes are told apart; tiles are put together."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import pytest
import torch
from torch import Tensor

from experiments.tasks.parts.average_precision import AveragePrecision
from experiments.tasks.parts.object_matching import Mistakes
from experiments.tasks.parts.tiles import corners, in_tiles

CLASSES = tuple("abcde")


def objects(count: int, scores: bool) -> dict[str, Tensor]:
    corner = torch.rand(count, 2) * 400
    sides = {
        "boxes": torch.cat([corner, corner + torch.rand(count, 2) * 150 + 2], 1),
        "labels": torch.randint(0, 4, (count,)),
    }
    return sides | ({"scores": torch.rand(count)} if scores else {})


def near(true: dict[str, Tensor], count: int) -> dict[str, Tensor]:
    """Some found objects around true ones, and some anywhere."""
    tries = {"boxes": true["boxes"].repeat(2, 1), "labels": true["labels"].repeat(2)}
    tries["boxes"] = tries["boxes"] + torch.randn_like(tries["boxes"]) * 6
    tries["scores"] = torch.rand(len(tries["labels"]))
    rest = objects(count - len(tries["labels"]), True)
    return {key: torch.cat([tries[key], rest[key]]) for key in rest}


def by_pycocotools(answers: list[Any], true: list[Any], masks: bool = False) -> list[float]:
    coco, cocoeval = pytest.importorskip("pycocotools.coco"), pytest.importorskip("pycocotools.cocoeval")
    from pycocotools import mask

    sides = []
    for rows in (true, answers):
        notes: list[dict[str, Any]] = []
        for image, in_image in enumerate(rows):
            for place, (box, label) in enumerate(
                zip(in_image["boxes"].double().tolist(), in_image["labels"].tolist(), strict=True)
            ):
                size = [box[2] - box[0], box[3] - box[1]]
                note = {"id": len(notes) + 1, "image_id": image, "category_id": label, "bbox": [*box[:2], *size]}
                note |= {"area": size[0] * size[1], "iscrowd": 0}
                if "scores" in in_image:
                    note["score"] = float(in_image["scores"][place])
                elif "iscrowd" in in_image:
                    note["iscrowd"] = int(in_image["iscrowd"][place])
                if masks:
                    import numpy as np

                    note["segmentation"] = mask.encode(np.asfortranarray(in_image["masks"][place].numpy()))
                    note["area"] = float(mask.area(note["segmentation"]))
                notes.append(note)
        side = coco.COCO()
        side.dataset = {
            "images": [{"id": image, "height": 60, "width": 60} for image in range(len(rows))],
            "annotations": notes,
            "categories": [{"id": number} for number in range(len(CLASSES))],
        }
        with contextlib.redirect_stdout(io.StringIO()):
            side.createIndex()
        sides.append(side)
    with contextlib.redirect_stdout(io.StringIO()):
        judge = cocoeval.COCOeval(*sides, iouType="segm" if masks else "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return judge.stats.tolist()


ORDER = (
    "map", "map50", "map75", "map_small", "map_medium", "map_large",
    "recall_1", "recall_10", "recall", "recall_small", "recall_medium", "recall_large",
)  # fmt: skip


def test_it_equals_pycocotools_on_random_boxes() -> None:
    pytest.importorskip("faster_coco_eval")
    true = [objects(int(torch.randint(0, 12, (1,))), False) for _ in range(20)]
    for in_image in true:
        in_image["iscrowd"] = (torch.rand(len(in_image["labels"])) < 0.1).long()
    guesses = [near(in_image, 40) for in_image in true]
    judge = AveragePrecision(CLASSES)
    for start in range(0, 20, 3):
        judge.update(guesses[start : start + 3], true[start : start + 3])
    values = judge.compute()
    expected = dict(zip(ORDER, by_pycocotools(guesses, true), strict=True))
    assert list(values) == judge.names
    for name, value in expected.items():
        assert float(values[name]) == pytest.approx(value, abs=1e-6), name
    assert (
        judge.per_class["e"]["map"] != judge.per_class["e"]["map"]
    )  # no object of it: not a number, and not in the mean


def test_it_equals_pycocotools_on_random_masks() -> None:
    pytest.importorskip("faster_coco_eval")
    true = [objects(5, False) for _ in range(6)]
    guesses = [near(in_image, 15) for in_image in true]
    for in_image in (*true, *guesses):
        in_image["masks"] = torch.zeros(len(in_image["labels"]), 60, 60, dtype=torch.uint8)
        for mask, box in zip(in_image["masks"], (in_image["boxes"] / 10).clamp(0, 59).long().tolist(), strict=True):
            mask[box[1] : box[3] + 1, box[0] : box[2] + 1] = 1
    judge = AveragePrecision(CLASSES, masks=True, prefix="mask_")
    judge.update([{**in_image, "masks": in_image["masks"][:, None].float()} for in_image in guesses], true)
    values = judge.compute()
    for name, value in zip(ORDER, by_pycocotools(guesses, true, masks=True), strict=True):
        if value > -1:
            assert float(values[f"mask_{name}"]) == pytest.approx(value, abs=1e-6), name


def test_images_without_objects_count_what_is_invented_there() -> None:
    pytest.importorskip("faster_coco_eval")
    box = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
    label = torch.tensor([0])
    right, none = {"boxes": box, "labels": label}, {"boxes": box[:0], "labels": label[:0]}
    judge = AveragePrecision(("a",))
    judge.update([right | {"scores": torch.tensor([0.5])}, right | {"scores": torch.tensor([0.9])}], [right, none])
    assert float(judge.compute()["map"]) == pytest.approx(0.5)
    judge.reset()
    judge.update([none | {"scores": torch.zeros(0)}], [none])
    assert judge.compute()["map"].isnan()


def test_mistakes_are_told_apart() -> None:
    true = {
        "boxes": torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [60, 0, 70, 10], [80, 0, 99, 10]]),
        "labels": torch.tensor([0, 0, 1, 1, 0]),
        "iscrowd": torch.tensor([0, 0, 0, 0, 1]),
    }
    guesses = {
        "boxes": torch.tensor(
            [[0.0, 0, 10, 9], [20, 0, 30, 10], [44, 0, 56, 10], [0, 50, 9, 60], [80, 0, 95, 10], [60, 0, 70, 10]]
        ),
        "labels": torch.tensor([0, 1, 1, 1, 0, 1]),
        "scores": torch.tensor([0.9, 0.8, 0.7, 0.6, 0.6, 0.1]),
    }
    mistakes = Mistakes(2, 0.5)
    seen = mistakes.add(guesses, true)
    assert dict(mistakes.kinds) == {"right": 1, "confused": 1, "badly_placed": 1, "invented": 1, "missed": 2}
    assert mistakes.matrix.tolist() == [[1, 1, 0], [0, 0, 2], [0, 2, 0]]
    assert seen == {"right": [0], "wrong": [1, 2, 3], "missed": [2, 3]}


def test_objects_inside_a_crowd_are_no_mistakes() -> None:
    """However small a share of the crowd they are, if it is of their class."""
    crowd = {"boxes": torch.tensor([[0.0, 0, 100, 100]]), "labels": torch.tensor([0]), "iscrowd": torch.tensor([1])}
    inside = {"boxes": torch.tensor([[5.0, 5, 15, 15], [30, 30, 40, 40], [95, 95, 115, 105]])}
    mistakes = Mistakes(2, 0.5)
    seen = mistakes.add(inside | {"labels": torch.tensor([0, 1, 0]), "scores": torch.ones(3)}, crowd)
    assert seen == {"right": [], "wrong": [1, 2], "missed": []} and mistakes.kinds["invented"] == 2


def test_tiles_cover_an_image_and_find_everything_once() -> None:
    assert corners(100, 40, 0.25) == [0, 30, 60]
    assert corners(30, 40, 0.25) == [0]
    image = torch.zeros(3, 90, 100)
    for y, x in ((10, 10), (35, 36), (70, 80)):
        image[:, y : y + 8, x : x + 8] = 1

    def find(images: Any) -> list[dict[str, Tensor]]:
        """Boxes around bright squares of full size."""
        out = []
        for image in images:
            places = [
                (y, x)
                for y in range(image.shape[1] - 7)
                for x in range(image.shape[2] - 7)
                if image[0, y : y + 8, x : x + 8].all()
            ]
            boxes = torch.tensor([[x, y, x + 8, y + 8] for y, x in places]).float().view(-1, 4)
            masks = torch.stack([image[:1]] * len(places)) if places else torch.zeros(0, 1, *image.shape[1:])
            labels, scores = torch.zeros(len(places)).long(), torch.ones(len(places))
            out.append({"boxes": boxes, "labels": labels, "scores": scores, "masks": masks})
        return out

    guesses = in_tiles(image, 40, 0.25, find)
    assert sorted(guesses["boxes"][:, :2].tolist()) == [[10, 10], [36, 35], [80, 70]]
    assert guesses["masks"].shape == (3, 1, 90, 100)
    assert all(
        mask[0, int(box[1]), int(box[0])] == 1 for mask, box in zip(guesses["masks"], guesses["boxes"], strict=True)
    )
