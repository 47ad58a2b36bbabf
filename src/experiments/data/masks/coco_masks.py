"""COCO's objects (Lin et al., 2014) as masks of classes: from polygons and run lengths in its JSON files."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from experiments.config.value_rules import require_values
from experiments.data.common.coco_files import CocoImage, CocoNote, read_splits
from experiments.data.common.coco_outlines import Outline
from experiments.data.masks.mask_contents import MaskContents
from experiments.data.masks.mask_data import MaskData
from experiments.data.masks.mask_files import Pair
from experiments.data.masks.mask_values import IGNORED, distinct_colours
from experiments.errors import UserError

log = logging.getLogger(__name__)
BACKGROUND = "background"


class CocoMasks(MaskData):
    """The background and a class for each category; smaller objects lie on larger ones, and crowds are ignored.

    Args:
        annotations: the JSON file with everything, by its path in `root`; None looks for it, as `data=coco` does.
        images: folder of the images, likewise.
        classes: categories to keep, the others are background; None: all.
        bad: what to do with an outline of fewer than three points or a run length that does not fit: "refuse", or "drop" it.
        rest: the keys of `MaskData`.
    """

    name = "coco_masks"

    def __init__(
        self,
        *,
        annotations: str | None = None,
        images: str | None = None,
        classes: Sequence[str] | None = None,
        bad: str = "refuse",
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        require_values("masks", bad=bad)
        self.annotations, self.images = annotations, images
        self.chosen = None if classes is None else tuple(map(str, classes))
        self.bad, self._dropped = bad, 0

    def read(self) -> MaskContents:
        names, images_of = read_splits(self.name, self.root, self.annotations, self.images)
        if BACKGROUND in names:
            raise UserError(
                f"data={self.name} has a category that is named {BACKGROUND}, which is a class already: rename it"
            )
        for name in self.chosen or ():
            if name not in names:
                raise UserError(f"data.classes has {name}, which is no category: choose from {', '.join(names[:20])}")
        classes = (BACKGROUND, *(name for name in names if self.chosen is None or name in self.chosen))
        self._dropped = 0
        by_split = {split: [self._pair(image, classes) for image in images] for split, images in images_of.items()}
        if self._dropped:
            log.warning("%s: %d outlines were dropped, as data.bad=drop says", self.name, self._dropped)
        if "test" not in by_split and "validation" in by_split:
            log.warning(
                "%s: there are no test images: val is the test split, and validation is held out of train", self.name
            )
            by_split["test"] = by_split.pop("validation")
        return MaskContents(classes, distinct_colours(len(classes)), by_split)

    def _pair(self, image: CocoImage, classes: tuple[str, ...]) -> Pair:
        if not all(image.size):
            raise UserError(f"{image.where} does not state height and width, which outlines are drawn on: add them")
        outlines: list[tuple[float, int, Outline]] = []
        for note in image.notes:
            label = IGNORED if note.crowd else classes.index(note.name) if note.name in classes else 0
            if label and (outline := self._drawable(note)):
                outlines.append((note.area, label, outline))
        outlines.sort(key=lambda outline: (outline[1] != IGNORED, -outline[0]))  # crowds lie below all
        drawing = partial(painted, image.size, [outline[1:] for outline in outlines])
        return Pair(image.path.name, image.path, drawing, f"the annotation of {image.path.name}")

    def _drawable(self, note: CocoNote) -> Outline | None:
        """Return the outline of an object; None where it has none that can be drawn, and such are left out.

        Raises:
            UserError: they are not.
        """
        problem = "has no outline" if note.outline is None else note.outline.fault()
        if problem and self.bad == "refuse":
            raise UserError(f"{note.where} {problem}: mend it, or set data.bad=drop to leave out")
        self._dropped += bool(problem)
        return None if problem else note.outline


def painted(own: tuple[int, int], outlines: Sequence[tuple[int, Outline]], size: tuple[int, int]) -> np.ndarray:
    """Outlines drawn over one another, the last on top: (H, W) uint8.

    Args:
        own: height and width that the file states.
        outlines: a class and a shape each.
        size: of the image.
    """
    mask = np.zeros(own, np.uint8)
    for label, outline in outlines:
        mask[outline.decode(own)] = label
    return mask
