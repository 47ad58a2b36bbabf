"""COCO's objects (Lin et al., 2014) as masks of classes: from polygons and run lengths in its JSON files."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from experiments.data.common.coco_files import read_coco, rows_by_id
from experiments.data.masks.mask_contents import MaskContents, first_folder
from experiments.data.masks.mask_data import MaskData
from experiments.data.masks.mask_files import Pair
from experiments.data.masks.mask_values import IGNORED, distinct_colours
from experiments.errors import UserError

log = logging.getLogger(__name__)
BACKGROUND = "background"
# A split's JSON file and folder of images, as COCO distributes them or as one set without splits.
FILES = {
    "train": (
        ("annotations/instances_train2017.json", "train2017"),
        ("annotations/instances_train.json", "train"),
        ("train/_annotations.coco.json", "train"),
        ("train.json", "train"),
        ("annotations/instances.json", "images"),
        ("instances.json", "images"),
    ),
    "validation": (
        ("annotations/instances_val2017.json", "val2017"),
        ("annotations/instances_val.json", "val"),
        ("valid/_annotations.coco.json", "valid"),
        ("val.json", "val"),
    ),
    "test": (
        ("annotations/instances_test.json", "test"),
        ("test/_annotations.coco.json", "test"),
        ("test.json", "test"),
    ),
}


class CocoMasks(MaskData):
    """The background and a class for each category; smaller objects lie on larger ones, and crowds are ignored.

    Args:
        classes: categories to keep, the others are background; None: all.
        bad: what to do with an outline of fewer than three points or a run length that does not fit: "refuse", or "drop" it.
        rest: the keys of `MaskData`.
    """

    name = "coco_masks"

    def __init__(self, *, classes: Sequence[str] | None = None, bad: str = "refuse", **rest: Any) -> None:
        super().__init__(**rest)
        if bad not in ("refuse", "drop"):
            raise UserError(f"data.bad={bad} is unknown: choose refuse or drop")
        self.chosen = None if classes is None else tuple(map(str, classes))
        self.bad, self._dropped = bad, 0

    def read(self) -> MaskContents:
        places = [name for choices in FILES["train"] for name in choices[:1]]
        root = None
        for place in places:
            try:
                root = first_folder(self.root, self.name, ("coco", "coco_sample"), place)
                break
            except UserError:
                continue
        if root is None:
            raise UserError(
                f"data={self.name}: {self.root} has none of {', '.join(places)}: set data.root or the variable EXPERIMENTS_DATA"
            )
        by_split: dict[str, list[Pair]] = {}
        classes: tuple[str, ...] = ()
        self._dropped = 0
        for split, choices in FILES.items():
            file, images = next(((root / f, root / i) for f, i in choices if (root / f).is_file()), (None, root))
            if file is not None:
                classes_here, by_split[split] = self._pairs(file, images)
                if classes and classes_here != classes:
                    raise UserError(f"{file} has other categories than the training split: give both the same")
                classes = classes_here
        if self._dropped:
            log.warning("%s: %d outlines were dropped, as data.bad=drop says", self.name, self._dropped)
        if "test" not in by_split and "validation" in by_split:
            log.warning(
                "%s: there are no test images: val is the test split, and validation is held out of train", self.name
            )
            by_split["test"] = by_split.pop("validation")
        return MaskContents(classes, distinct_colours(len(classes)), by_split)

    def _pairs(self, file: Path, folder: Path) -> tuple[tuple[str, ...], list[Pair]]:
        content = read_coco(file)
        categories = rows_by_id(content["categories"], "categories", file)
        images = rows_by_id(content["images"], "images", file)
        names = [str(category["name"]) for _, category in sorted(categories.items())]
        if len(set(names)) < len(names) or BACKGROUND in names:
            raise UserError(f"{file} has two categories of one name, or one that is named background: rename it")
        for name in self.chosen or ():
            if name not in names:
                raise UserError(
                    f"data.classes has {name}, which is no category of {file}: choose from {', '.join(names[:20])}"
                )
        kept = [name for name in names if self.chosen is None or name in self.chosen]
        number = {
            key: kept.index(category["name"]) + 1 if category["name"] in kept else 0
            for key, category in categories.items()
        }
        sizes = {key: _stated_size(image, file) for key, image in images.items()}
        outlines: dict[Any, list[tuple[float, int, Any]]] = {key: [] for key in images}
        rows_by_id(content["annotations"], "annotations", file)
        for annotation in content["annotations"]:
            where = f"annotation {annotation.get('id')} of {file}"
            if annotation.get("image_id") not in images:
                raise UserError(
                    f"{where} is of the image {annotation.get('image_id')}, which is not in the file: add it, or remove the annotation"
                )
            if annotation.get("category_id") not in categories:
                raise UserError(
                    f"{where} is of the category {annotation.get('category_id')}, which the file does not have: add it"
                )
            shape = annotation.get("segmentation")
            label = IGNORED if annotation.get("iscrowd") else number[annotation["category_id"]]
            if label and self._drawable(shape, sizes[annotation["image_id"]], where):
                outlines[annotation["image_id"]].append((float(annotation.get("area") or 0), label, shape))
        pairs = []
        for key, image in images.items():
            path = folder / str(image["file_name"])
            if not path.is_file():
                raise UserError(f"{file} has the image {image['file_name']}, and {path} is missing: add it")
            ordered = sorted(
                outlines[key], key=lambda outline: (outline[1] != IGNORED, -outline[0])
            )  # crowds lie below all
            pairs.append(
                Pair(
                    path.name,
                    path,
                    partial(painted, sizes[key], [outline[1:] for outline in ordered]),
                    f"the annotation of {path.name}",
                )
            )
        return (BACKGROUND, *kept), pairs

    def _drawable(self, shape: Any, size: tuple[int, int], where: str) -> bool:
        """Tell whether an outline can be drawn.

        Raises:
            UserError: it cannot, and is not to be dropped.
        """
        problem = _problem(shape, size)
        if problem and self.bad == "refuse":
            raise UserError(f"{where} {problem}: mend it, or set data.bad=drop to leave out")
        self._dropped += bool(problem)
        return not problem


def _stated_size(image: Mapping[str, Any], file: Path) -> tuple[int, int]:
    """Return height and width of an image, as the file states them.

    Raises:
        UserError: it does not.
    """
    try:
        return int(image["height"]), int(image["width"])
    except (KeyError, TypeError, ValueError):
        raise UserError(
            f"{file} does not state height and width of the image {image.get('id')}, which outlines are drawn on: add them"
        ) from None


def _problem(shape: Any, size: tuple[int, int]) -> str:
    """Return what is wrong with an outline, as half a sentence; empty for none."""
    if isinstance(shape, Mapping):
        try:
            runs = run_lengths(shape["counts"])
        except (KeyError, TypeError, ValueError):
            return "has run lengths that cannot be read"
        if list(shape.get("size", [])) != list(size) or sum(runs) != size[0] * size[1] or min(runs, default=0) < 0:
            return f"has run lengths that do not fit an image of {size[0]} × {size[1]} pixels"
        return ""
    if not isinstance(shape, Sequence) or isinstance(shape, str) or not shape:
        return "has no outline"
    for polygon in shape:
        if (
            not isinstance(polygon, Sequence)
            or len(polygon) % 2
            or not all(isinstance(number, int | float) for number in polygon)
        ):
            return "has a polygon that is no list of x and y"
        if len(polygon) < 6:
            return f"has a polygon of {len(polygon) // 2} points, and three are the least"
    return ""


def painted(own: tuple[int, int], outlines: Sequence[tuple[int, Any]], size: tuple[int, int]) -> np.ndarray:
    """Outlines drawn over one another, the last on top: (H, W) uint8.

    Args:
        own: height and width that the file states.
        outlines: a class and a shape each.
        size: of the image.
    """
    from skimage.draw import polygon2mask  # type: ignore[import-untyped]

    mask = np.zeros(own, np.uint8)
    for label, shape in outlines:
        if isinstance(shape, Mapping):
            inside = decoded(run_lengths(shape["counts"]), own)
        else:
            # Coordinates are of the corners of pixels, and a pixel belongs to an outline that covers its middle.
            corners = [np.array(polygon, float).reshape(-1, 2)[:, ::-1] - 0.5 for polygon in shape]
            inside = np.any([polygon2mask(own, polygon) for polygon in corners], axis=0)
        mask[inside] = label
    return mask


def decoded(runs: Sequence[int], size: tuple[int, int]) -> np.ndarray:
    """Run lengths down the columns, beginning outside: (H, W) bool."""
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(size[::-1]).T


def run_lengths(counts: Any) -> list[int]:
    """Run lengths, as they are or packed into COCO's text: five bits a letter, differences to the last but one.

    Raises:
        ValueError: the text ends within a number.
    """
    if not isinstance(counts, str | bytes):
        return [int(count) for count in counts]
    letters = counts.encode() if isinstance(counts, str) else counts
    runs: list[int] = []
    value = shift = 0
    for letter in letters:
        bits = letter - 48
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("the text ends within a number")
    return runs
