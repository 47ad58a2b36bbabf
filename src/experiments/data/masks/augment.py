"""Random changes to training images that move their masks along: drawn for every example, computed for the whole batch.

The draws are a pure function of (seed, epoch, batch, position in the batch), as those of images without masks.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from experiments.data.common.sampling import EXTRA, MIX, Picks, stream
from experiments.data.common.transforms import Transform, is_transform, listed
from experiments.errors import UserError

# Columns of the draws, uniform on [0, 1), and from ELASTIC on normal: two shifts for each of 3 × 3 points.
FLIP, FLIP_DOWN, TURN, ANGLE, SCALE, ROW, COLUMN, BRIGHTNESS, CONTRAST = range(9)
ELASTIC = 9
COLUMNS = ELASTIC + 18


@dataclasses.dataclass(frozen=True)
class MaskAugment:
    """What happens to training images and their masks; 0, false or null is off.

    Attributes:
        flip: left to right, with this probability.
        flip_down: top to bottom, likewise.
        turn: by a multiple of 90 degrees, with this probability; of square images.
        rotation: degrees to either side; what comes from outside is ignored.
        scale: least and greatest magnification.
        crop: side, or height and width, of the window that is trained on; None: the whole image.
        elastic: deviation of the shifts of a 3 × 3 grid, in pixels, 10 in the U-Net paper.
        brightness: most of it added or taken, as a share of white.
        contrast: most of it added or taken, as a share.
        transforms: of torchvision's v2, applied to bytes and masks before these; any other key of the config that holds an object.
    """

    flip: float = 0.0
    flip_down: float = 0.0
    turn: float = 0.0
    rotation: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    crop: tuple[int, int] | None = None
    elastic: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    transforms: tuple[Transform, ...] = ()

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> MaskAugment:
        """From the keys below `data.augment`.

        Raises:
            UserError: a key is unknown or a value out of range.
        """
        names = [field.name for field in dataclasses.fields(cls) if field.name != "transforms"]
        values: dict[str, Any] = {}
        theirs: list[Transform] = []
        for key, value in given.items():
            if callable(value) or (key not in names and is_transform(value)):  # an object may have one of our names
                theirs += listed(value, f"data.augment.{key}")
                continue
            if key not in names:
                near = difflib.get_close_matches(key, names, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(names)}"
                raise UserError(f"data.augment.{key} is no augmentation of masks: {hint}")
            if value is None or value is False:
                continue
            if key == "crop":
                values[key] = sides("data.augment.crop", value)
            elif key == "scale":
                values[key] = _range(value)
            else:
                values[key] = _number(key, value)
        return cls(**values, transforms=tuple(theirs))

    def require_fit(self, height: int, width: int) -> None:
        """Refuse changes that images of some pixels are too small or not square enough for.

        Raises:
            UserError: when there is one.
        """
        crop = self.crop
        if crop and (crop[0] > height or crop[1] > width) and self.scale == (1.0, 1.0):
            raise UserError(
                f"data.augment.crop={list(crop)} is larger than the images' {height}×{width}: try data.augment.crop={min(height, width)}"
            )
        square = crop or (height, width)
        if self.turn and square[0] != square[1]:
            raise UserError(
                f"data.augment.turn is for square images and these have {square[0]}×{square[1]} pixels: set data.augment.crop={min(square)} or turn=0"
            )

    @property
    def warps(self) -> bool:
        """Whether pixels move by fractions, so that they are interpolated."""
        return bool(self.rotation or self.elastic) or self.scale != (1.0, 1.0)

    @property
    def changes(self) -> tuple[str, ...]:
        """Names of what is on."""
        return tuple(field.name for field in dataclasses.fields(self) if getattr(self, field.name) != field.default)


def sides(key: str, value: Any) -> tuple[int, int]:
    """Height and width from a side or both.

    Raises:
        UserError: it is neither one whole number nor two.
    """
    both = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value, value]
    if len(both) != 2 or any(isinstance(number, bool) or not isinstance(number, int) or number < 1 for number in both):
        shown = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
        raise UserError(
            f"{key}={shown} must be pixels, a whole number, or height and width: try {key}=256 or {key}=[180,240]"
        )
    return both[0], both[1]


def _range(value: Any) -> tuple[float, float]:
    both = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    if (
        len(both) != 2
        or any(isinstance(number, bool) or not isinstance(number, int | float) for number in both)
        or not 0 < both[0] <= both[1]
    ):
        raise UserError(
            f"data.augment.scale={both if len(both) > 1 else value} must be the least and the greatest magnification: try data.augment.scale=[0.5,2.0]"
        )
    return float(both[0]), float(both[1])


def _number(key: str, value: Any) -> float:
    top = {"flip": 1.0, "flip_down": 1.0, "turn": 1.0, "rotation": 180.0, "brightness": 1.0, "contrast": 1.0}.get(
        key, math.inf
    )
    if value is True and key in ("flip", "flip_down", "turn"):
        return 1.0 if key == "turn" else 0.5
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError(f"data.augment.{key}={value!r} is no number: 0 is off")
    if not 0 <= value <= top:
        limits = "at least 0" if top == math.inf else f"between 0 and {top:g}"
        raise UserError(f"data.augment.{key}={value} must be {limits}: 0 is off")
    return float(value)


def draw(picks: Picks) -> np.ndarray:
    """(B, 27) float32: the columns named above."""
    stop = picks.position + len(picks.indices)
    key = picks.seed, picks.epoch, picks.batch
    uniform = stream(*key, EXTRA).random((stop, ELASTIC), dtype=np.float32)
    normal = stream(*key, MIX).standard_normal((stop, COLUMNS - ELASTIC), dtype=np.float32)
    return np.concatenate([uniform, normal], axis=1)[picks.position :]


class Plane(NamedTuple):
    """Values that lie on an image.

    Attributes:
        values: (B, C, H, W) float.
        outside: value beyond the edges.
        mixed: whether values may be interpolated; else the nearest is taken.
    """

    values: Tensor
    outside: float
    mixed: bool


def move(planes: Sequence[Plane], augment: MaskAugment, draws: Tensor) -> list[Tensor]:
    """Moves images and what lies on them in one way: each (B, C, H, W) -> (B, C, h, w), of the crop's size where there is one.

    Args:
        planes: of equally many examples of one size; their values may be changed in place.
        augment: what to do.
        draws: (B, 27).
    """
    moved = [plane.values for plane in planes]
    height, width = moved[0].shape[2:]
    size = augment.crop or (height, width)
    if augment.warps:
        grid = _grid(augment, draws, (height, width), size)
        for number, (values, outside, mixed) in enumerate(planes):
            shifted = values - outside if outside else values  # as what comes from outside is 0
            mode = "bilinear" if mixed else "nearest"
            sampled = F.grid_sample(shifted, grid, mode=mode, padding_mode="zeros", align_corners=False)
            moved[number] = sampled + outside if outside else sampled
    elif size != (height, width):
        tops = (draws[:, ROW] * (height - size[0] + 1)).long().tolist()
        lefts = (draws[:, COLUMN] * (width - size[1] + 1)).long().tolist()
        places = list(zip(tops, lefts, strict=True))
        moved = [
            torch.stack(
                [image[:, y : y + size[0], x : x + size[1]] for image, (y, x) in zip(plane, places, strict=True)]
            )
            for plane in moved
        ]
    for column, chance, axis in ((FLIP, augment.flip, 3), (FLIP_DOWN, augment.flip_down, 2)):
        if chance:
            chosen = (draws[:, column] < chance).nonzero()[:, 0]
            for values in moved:
                values[chosen] = values[chosen].flip(axis)
    if augment.turn:
        quarters = (draws[:, TURN] / augment.turn * 4).long()  # beyond 3: as it was
        for times in (1, 2, 3):
            chosen = (quarters == times).nonzero()[:, 0]
            for values in moved:
                values[chosen] = values[chosen].rot90(times, (2, 3))
    return moved


def _grid(augment: MaskAugment, draws: Tensor, whole: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Where each pixel of the result comes from: (B, h, w, 2), x and y from -1 to 1."""
    (height, width), (tall, wide) = whole, size
    low, high = (math.log(bound) for bound in augment.scale)
    scale = torch.exp(low + (high - low) * draws[:, SCALE])
    part_y, part_x = tall / (height * scale), wide / (width * scale)  # of the image, that the result shows
    angle = (2 * draws[:, ANGLE] - 1) * math.radians(augment.rotation)
    cos, sin = torch.cos(angle), torch.sin(angle)
    # A window smaller than the image lies anywhere in it; a larger one anywhere around it.
    middle_x = (2 * draws[:, COLUMN] - 1) * (1 - part_x)
    middle_y = (2 * draws[:, ROW] - 1) * (1 - part_y)
    ratio = wide / tall
    theta = torch.stack(
        [
            torch.stack([part_x * cos, -part_x * sin / ratio, middle_x], dim=1),
            torch.stack([part_y * sin * ratio, part_y * cos, middle_y], dim=1),
        ],
        dim=1,
    )
    grid = F.affine_grid(theta, [len(draws), 1, tall, wide], align_corners=False)
    if augment.elastic:
        shifts = augment.elastic * draws[:, ELASTIC:].view(-1, 2, 3, 3)
        smooth = F.interpolate(shifts, size=size, mode="bicubic", align_corners=True)
        pixel = smooth.new_tensor([2 / width, 2 / height])
        grid = grid + smooth.permute(0, 2, 3, 1) * pixel
    return grid


def relight(pixels: Tensor, augment: MaskAugment, draws: Tensor) -> Tensor:
    """Changes brightness and contrast of (B, C, H, W) float from 0 to 255, in place."""
    if augment.contrast:
        factor = 1 + augment.contrast * (2 * draws[:, CONTRAST] - 1).view(-1, 1, 1, 1)
        middle = pixels.mean((1, 2, 3), keepdim=True)
        pixels.sub_(middle).mul_(factor).add_(middle)
    if augment.brightness:
        pixels.add_(255 * augment.brightness * (2 * draws[:, BRIGHTNESS] - 1).view(-1, 1, 1, 1))
    return pixels.clamp_(0, 255) if augment.contrast or augment.brightness else pixels
