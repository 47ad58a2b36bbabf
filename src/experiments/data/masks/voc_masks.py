"""Pascal VOC's masks of 20 kinds of objects and a background (Everingham et al., 2010)."""

from __future__ import annotations

import logging
import re
from functools import partial
from pathlib import Path

from experiments.data.common.split_names import names_listed
from experiments.data.masks.mask_contents import MaskContents, first_folder
from experiments.data.masks.mask_data import MaskData
from experiments.data.masks.mask_files import Pair, pair_of
from experiments.data.masks.mask_folder import classes_of
from experiments.data.masks.mask_values import Meaning
from experiments.errors import UserError

log = logging.getLogger(__name__)
CLASSES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
LISTS = {"train": "train", "validation": "val", "test": "test"}


def palette(count: int) -> tuple[str, ...]:
    """VOC's colours: the bits of a number, spread over red, green and blue."""
    colours = []
    for number in range(count):
        channels = [0, 0, 0]
        for bit in range(8):
            for channel in range(3):
                channels[channel] |= (number >> (3 * bit + channel) & 1) << (7 - bit)
        colours.append("#{:02x}{:02x}{:02x}".format(*channels))
    return tuple(colours)


class VocMasks(MaskData):
    """Photographs with 21 classes; the border around objects, value 255, is ignored.

    The masks of VOC's test images are not published. Without a list of them, val is the test split, and validation is held out of
    train.

    Args:
        year: of the challenge, such as 2012.
        rest: the keys of `MaskData`.
    """

    name = "voc_masks"

    def __init__(self, *, year: int, **rest: object) -> None:
        super().__init__(**rest)  # type: ignore[arg-type]
        self.year = year

    def read(self) -> MaskContents:
        places = (f"VOCdevkit/VOC{self.year}", f"VOC{self.year}", "voc")
        root = first_folder(self.root, self.name, places, "SegmentationClass")
        meaning = Meaning(CLASSES, tuple(range(len(CLASSES))), (255,), False, palette(len(CLASSES)))
        by_split: dict[str, list[Pair]] = {}
        for split, name in LISTS.items():
            listed = root / "ImageSets" / "Segmentation" / f"{name}.txt"
            if listed.is_file():
                by_split[split] = [_pair(root, word, listed, meaning) for word in names_listed(listed)]
        if "train" not in by_split:
            raise UserError(
                f"data={self.name}: {root}/ImageSets/Segmentation/train.txt is missing: it lists the training images"
            )
        if "test" not in by_split and "validation" in by_split:
            log.warning(
                "%s: there is no list of test images: val is the test split, and validation is held out of train",
                self.name,
            )
            by_split["test"] = by_split.pop("validation")
        return MaskContents(CLASSES, meaning.colours, by_split)


def _pair(root: Path, name: str, listed: Path, meaning: Meaning) -> Pair:
    if not re.fullmatch(r"[\w.-]+", name):
        raise UserError(
            f"{listed} has {name}, which is no name of an image: give one a line, without folder and suffix"
        )
    image, mask = root / "JPEGImages" / f"{name}.jpg", root / "SegmentationClass" / f"{name}.png"
    for path in (image, mask):
        if not path.is_file():
            raise UserError(f"{listed} names {name} and {path} is missing: add it, or take the name out of the list")
    return pair_of(image, mask, partial(classes_of, meaning))
