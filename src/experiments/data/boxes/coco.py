"""COCO's form (Lin et al., 2014): one JSON file a split, with boxes, polygons and run lengths."""

from __future__ import annotations

from typing import Any

from experiments.data.boxes.annotations import AnnotatedImage, Object
from experiments.data.boxes.box_data import BoxData
from experiments.data.common.coco_files import CocoImage, CocoNote, read_splits
from experiments.errors import UserError


class COCO(BoxData):
    """Images with one JSON file a split, found in `annotations/` or in the folders of the splits; or one file for all.

    Category numbers may have gaps; classes are in their order. Crowds are not learned from, and no mistake if found.

    Args:
        annotations: the JSON file with everything, by its path in `root`; null looks for it.
        images: folder of the images, likewise.
        rest: the keys of `BoxData`.
    """

    name = "coco"

    def __init__(self, *, annotations: str | None, images: str | None, **rest: Any) -> None:
        super().__init__(**rest)
        self.annotations, self.images = annotations, images

    def read(self) -> tuple[tuple[str, ...] | None, dict[str, list[AnnotatedImage]]]:
        names, by_split = read_splits(self.name, self.root, self.annotations, self.images)
        return names, {split: [_picture(image) for image in images] for split, images in by_split.items()}


def _picture(image: CocoImage) -> AnnotatedImage:
    stated = image.size if all(image.size) else None
    return AnnotatedImage(image.path, image.where, tuple(map(_object, image.notes)), stated)


def _object(note: CocoNote) -> Object:
    try:
        x, y, width, height = (float(value) for value in note.bbox)
    except (TypeError, ValueError) as error:
        raise UserError(f"{note.where}: bbox is not x, y, width and height: mend it") from error
    return Object(note.name, (x, y, x + width, y + height), note.crowd, note.area, note.outline)
