"""What annotations say of an image: its objects, in the frame that the image is shown in."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from experiments.data.boxes.instance_masks import Mask, turned
from experiments.data.images.image_files import ImageHeader
from experiments.data.images.image_files import header as header_of
from experiments.errors import UserError

LEAST = 8  # pixels of an image's shorter side


@dataclass(frozen=True)
class Object:
    """One object of an image.

    Attributes:
        name: of its class.
        box: x1, y1, x2 and y2 in pixels, as the annotation has them.
        crowd: a group of such objects, which is not to be found, and no mistake if it is.
        area: in pixels; 0: that of the box.
        mask: where it lies; None where nobody says.
    """

    name: str
    box: tuple[float, float, float, float]
    crowd: bool = False
    area: float = 0.0
    mask: Mask | None = None


@dataclass(frozen=True)
class AnnotatedImage:
    """One image and its objects.

    Attributes:
        source: file, or (H, W, 3) uint8.
        where: of its annotation, for messages.
        objects: in any order.
        stated: height and width as the annotation has them; None where it does not say.
        size: height and width as the image is shown.
        relative: whether boxes are in shares of the sides, as YOLO has them.
    """

    source: Path | np.ndarray
    where: str
    objects: tuple[Object, ...]
    stated: tuple[int, int] | None = None
    size: tuple[int, int] = (0, 0)
    relative: bool = False


def header(source: Path | np.ndarray) -> ImageHeader:
    """Size and turn of an image, from its header alone.

    Raises:
        UserError: it is no image, or hardly one.
    """
    if isinstance(source, np.ndarray):
        image_header = ImageHeader(source.shape[0], source.shape[1], 1)
    else:
        try:
            image_header = header_of(source)
        except UserError as error:
            raise UserError(f"{str(error).rstrip('.')}: mend it, or remove it and its boxes") from error
    if min(image_header.height, image_header.width) < LEAST:
        raise UserError(
            f"{source} has {image_header.width}×{image_header.height} pixels, and a detector needs {LEAST} or more on a side: "
            "remove it and its boxes"
        )
    return image_header


def upright(picture: AnnotatedImage, exif: str) -> AnnotatedImage:
    """Return the picture in the frame in which it is shown, its boxes in pixels.

    Args:
        picture: as annotated.
        exif: what the boxes of a photograph that is to be turned belong to: `upright` or `stored`; `auto` decides it by
            the size that the annotation states.

    Raises:
        UserError: the stated size is another, or nothing says what the boxes belong to.
    """
    image_header = header(picture.source)
    stored = (image_header.height, image_header.width)
    if picture.stated is not None and picture.stated not in (stored, image_header.upright):
        raise UserError(
            f"{picture.where} is of an image of {picture.stated[1]}×{picture.stated[0]} pixels and {picture.source} has "
            f"{image_header.width}×{image_header.height}: give the image that was annotated"
        )
    if exif == "auto" and image_header.turn > 1:
        if picture.stated is None or stored == image_header.upright:
            raise UserError(
                f"{picture.source} is to be turned (EXIF orientation {image_header.turn}), and nothing says whether its boxes "
                "are: set data.exif=upright where they fit the photograph as it is shown, or data.exif=stored"
            )
        exif = "stored" if picture.stated == stored else "upright"
    frame = stored if exif == "stored" else image_header.upright
    if picture.relative:
        height, width = frame
        objects = tuple(
            replace(
                thing, box=(thing.box[0] * width, thing.box[1] * height, thing.box[2] * width, thing.box[3] * height)
            )
            for thing in picture.objects
        )
        picture = replace(picture, objects=objects, relative=False)
    if image_header.turn > 1 and exif == "stored":
        objects = tuple(_turned(thing, image_header) for thing in picture.objects)
        picture = replace(picture, objects=objects)
    return replace(picture, size=image_header.upright)


def _turned(thing: Object, image: ImageHeader) -> Object:
    x1, y1, x2, y2 = thing.box
    (ax, ay), (bx, by) = (turn_point(x, y, image) for x, y in ((x1, y1), (x2, y2)))
    box = (min(ax, bx), min(ay, by), max(ax, bx), max(ay, by))
    return replace(thing, box=box, mask=None if thing.mask is None else turned(thing.mask, image.turn, image[:2]))


def turn_point(x: float, y: float, image: ImageHeader) -> tuple[float, float]:
    """Where a point of the stored image is when it is shown upright."""
    height, width, turn = image
    return {
        1: (x, y),
        2: (width - x, y),
        3: (width - x, height - y),
        4: (x, height - y),
        5: (y, x),
        6: (height - y, x),
        7: (height - y, width - x),
        8: (y, width - x),
    }[turn]


@dataclass
class Sieve:
    """Takes out boxes that are none, or refuses them.

    Args:
        rule: `refuse`; `drop` leaves them out; `clip` cuts them to the image first and leaves out what is then empty.

    Attributes:
        dropped: how many were left out.
        clipped: how many were cut.
        bad: what is wrong with the first one, and how many there are.
    """

    rule: str
    dropped: int = 0
    clipped: int = 0
    bad: list[str] = field(default_factory=list)

    def good(self, picture: AnnotatedImage) -> AnnotatedImage:
        """Return the picture with good boxes alone, cut to the image where they stand out by less than a pixel."""
        kept: list[Object] = []
        height, width = picture.size
        for thing in picture.objects:
            why = fault(thing, height, width)
            if why is None:
                kept.append(replace(thing, box=_cut(thing.box, height, width)))
                continue
            cut = replace(thing, box=_cut(thing.box, height, width)) if self.rule == "clip" else thing
            if self.rule == "clip" and fault(cut, height, width) is None:
                self.clipped += 1
                kept.append(cut)
                continue
            self.dropped += 1
            if not self.bad:
                box = ", ".join(f"{value:g}" for value in thing.box)
                self.bad.append(f"{picture.where}: the box {box} of {thing.name} {why}")
        return replace(picture, objects=tuple(kept))

    def finish(self) -> None:
        """Refuses what was found, where the rule says so.

        Raises:
            UserError: with the first bad box, and the number of the others.
        """
        if self.bad and self.rule == "refuse":
            more = f" (bad boxes in all: {self.dropped})" if self.dropped > 1 else ""
            raise UserError(
                f"{self.bad[0]}{more}: mend the annotation, or set data.bad_boxes=drop to leave such boxes out"
            )


def fault(thing: Object, height: int, width: int) -> str | None:
    """Return what is wrong with an object's box or mask, as half a sentence."""
    x1, y1, x2, y2 = thing.box
    if not all(map(np.isfinite, thing.box)):
        return "is no four numbers"
    if x2 < x1 or y2 < y1:
        return "has its corners swapped"
    if min(x2, width) <= max(x1, 0) or min(y2, height) <= max(y1, 0):
        return "is empty" if x1 == x2 or y1 == y2 else f"lies outside its image of {width}×{height}"
    if x1 < -1 or y1 < -1 or x2 > width + 1 or y2 > height + 1:
        return f"reaches outside its image of {width}×{height}"
    return None if thing.mask is None else thing.mask.fault()


def _cut(box: tuple[float, float, float, float], height: int, width: int) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = box
    return max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height))


def arrays(picture: AnnotatedImage, classes: tuple[str, ...]) -> dict[str, Any]:
    """Boxes (N, 4) float32, labels (N,) int64, crowds (N,) bool and areas (N,) float32 of a picture's objects."""
    objects = picture.objects
    return {
        "boxes": np.array([thing.box for thing in objects], np.float32).reshape(-1, 4),
        "labels": np.array([classes.index(thing.name) for thing in objects], np.int64),
        "crowds": np.array([thing.crowd for thing in objects], bool),
        "areas": np.array([thing.area for thing in objects], np.float32),
    }
