"""Random changes to training images: drawn for every example, computed for the whole batch at once.

The draws are a pure function of (seed, epoch, batch, position in the batch), so they are the same in one process or
several, with workers or without, and after a resume. Crop and flip move bytes: on a CPU while the batch is gathered,
otherwise on the device, with equal results. The rest is arithmetic on the device.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from experiments.data.common.sampling import EXTRA, MIX, PLACES, Picks, stream
from experiments.data.common.transforms import Transform, is_transform, listed
from experiments.errors import UserError

# Columns of `Draws.extra`, uniform on [0, 1) but for the last two, which are mixing weights.
ANGLE, AREA, RATIO, CROP_Y, CROP_X, CUT_Y, CUT_X, BOX_Y, BOX_X, CHOICE, MIXUP, CUTMIX = range(12)


@dataclasses.dataclass(frozen=True)
class Augment:
    """Say what may happen to a training image. Zero or false is off.

    Attributes:
        crop: pixels of black border added on each side before a crop of the old size (He et al. 2015, section 4.2).
        flip: left to right, with this probability; true means 0.5.
        rotation: by an angle between minus and plus so many degrees; corners turn black.
        resized_crop: a window of at least this share of the area and 3/4 to 4/3 in shape, enlarged to the image
            (Szegedy et al. 2014).
        cutout: side in pixels of a square set to the mean colour, centred anywhere (DeVries and Taylor 2017).
        mixup: alpha of the Beta distribution of the weight between two images (Zhang et al. 2017).
        cutmix: alpha, likewise, for the area of a box taken from another image (Yun et al. 2019). With mixup on too,
            each pair draws which of the two it gets.
        transforms: of torchvision, applied to bytes after crop and flip; any other key of the config that holds an object.
    """

    crop: int = 0
    flip: float = 0.0
    rotation: float = 0.0
    resized_crop: float = 0.0
    cutout: int = 0
    mixup: float = 0.0
    cutmix: float = 0.0
    transforms: tuple[Transform, ...] = ()

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Augment:
        """Read the `augment` keys of a data config.

        Raises:
            UserError: a key is unknown, or a value is not in its range.
        """
        fields = {field.name: field for field in dataclasses.fields(cls) if field.name != "transforms"}
        values: dict[str, Any] = {}
        theirs: list[Transform] = []
        for key, value in settings.items():
            if callable(value) or (key not in fields and is_transform(value)):  # an object may have one of our names
                theirs += listed(value, f"data.augment.{key}")
                continue
            if key not in fields:
                near = difflib.get_close_matches(key, fields, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(fields)}."
                raise UserError(f"data.augment.{key} is not an augmentation: {hint}")
            if value is None or value is False:
                value = 0
            if value is True and key == "flip":
                value = 0.5
            whole = fields[key].type == "int"
            top = {"flip": 1.0, "rotation": 180.0, "resized_crop": 1.0}.get(key, math.inf)
            if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
                raise UserError(f"data.augment.{key}={value!r} is not a {'whole ' if whole else ''}number; 0 is off.")
            if not 0 <= value <= top:
                limits = "at least 0" if top == math.inf else f"between 0 and {top:g}"
                raise UserError(f"data.augment.{key}={value} must be {limits}; 0 is off.")
            values[key] = value if whole else float(value)
        return cls(**values, transforms=tuple(theirs))

    @property
    def places(self) -> bool:
        """Whether crop or flip is on."""
        return bool(self.crop or self.flip)

    @property
    def extra(self) -> bool:
        """Whether anything besides crop and flip is on."""
        return self.warps or self.mixes or bool(self.cutout)

    def on_device(self, wanted: bool) -> bool:
        """Tell whether crop and flip may be left to the device: transforms of torchvision come after them, where images
        are fetched.
        """
        return wanted and not self.transforms

    @property
    def warps(self) -> bool:
        return bool(self.rotation or self.resized_crop)

    @property
    def mixes(self) -> bool:
        return bool(self.mixup or self.cutmix)


def draw_places(augment: Augment, picks: Picks) -> np.ndarray:
    """(B, 3) int64: first row and first column of the crop in the bordered image, and 1 where flipped."""
    stop = picks.position + len(picks.indices)
    # Example by example, so that what position k gets does not depend on how many follow it.
    uniform = stream(picks.seed, picks.epoch, picks.batch, PLACES).random((stop, 3))[picks.position :]
    places = np.empty(uniform.shape, np.int64)
    places[:, :2] = uniform[:, :2] * (2 * augment.crop + 1)
    places[:, 2] = uniform[:, 2] < augment.flip
    return places


def draw_extra(augment: Augment, picks: Picks) -> np.ndarray:
    """(B, 12) float32: the columns named above."""
    stop = picks.position + len(picks.indices)
    key = picks.seed, picks.epoch, picks.batch
    extra = stream(*key, EXTRA).random((stop, CUTMIX + 1), dtype=np.float32)
    if augment.mixes:
        alphas = [augment.mixup or 1.0, augment.cutmix or 1.0]
        extra[:, MIXUP:] = stream(*key, MIX).beta(alphas, alphas, (stop, 2))
    return extra[picks.position :]


def border(images: torch.Tensor, crop: int) -> torch.Tensor:
    """Add `crop` black pixels on each side: (N, C, H, W) -> (N, C, H + 2 crop, W + 2 crop)."""
    count, channels, height, width = images.shape
    bordered = images.new_zeros(count, channels, height + 2 * crop, width + 2 * crop)
    bordered[:, :, crop : crop + height, crop : crop + width] = images
    return bordered


def windows(bordered: torch.Tensor, crop: int) -> np.ndarray:
    """Return all crops of all images, as a view: (N, C, H + 2 crop, W + 2 crop) -> (N, 2 crop + 1, 2 crop + 1, C, H,
    W).
    """
    array = bordered.numpy()
    size = array.shape[2] - 2 * crop, array.shape[3] - 2 * crop
    return np.lib.stride_tricks.sliding_window_view(array, size, axis=(2, 3)).transpose(0, 2, 3, 1, 4, 5)


def gather_places(crops: np.ndarray, indices: np.ndarray, places: np.ndarray) -> torch.Tensor:
    """Fetch, crop and flip on a CPU: `windows` of a store -> (B, C, H, W) uint8."""
    batch = crops[indices, places[:, 0], places[:, 1]]
    flipped = np.flatnonzero(places[:, 2])
    # torch turns rows of bytes around four times as fast as numpy, numpy picks and places images faster than torch.
    batch[flipped] = torch.from_numpy(batch[flipped]).flip(-1).numpy()
    return torch.from_numpy(batch)


def place_on_device(images: torch.Tensor, crop: int, places: torch.Tensor) -> torch.Tensor:
    """Crop and flip where the images are: (B, C, H, W) -> (B, C, H, W), equal to `gather_places`."""
    count, channels, height, width = images.shape
    steps = torch.arange(max(height, width), device=images.device)
    rows = places[:, :1] + steps[:height]
    columns = places[:, 1:2] + torch.where(places[:, 2:] > 0, width - 1 - steps[:width], steps[:width])
    examples = torch.arange(count, device=images.device).view(-1, 1, 1, 1)
    bordered = border(images, crop) if crop else images
    return bordered[examples, steps.new_tensor(range(channels)).view(1, -1, 1, 1), rows[:, None, :, None],
                    columns[:, None, None, :]]  # fmt: skip


def warp(images: torch.Tensor, augment: Augment, extra: torch.Tensor) -> torch.Tensor:
    """Rotate and enlarge a window, in one bilinear sampling: (B, C, H, W) float -> the same; corners turn 0."""
    count, _, height, width = images.shape
    angle = (2 * extra[:, ANGLE] - 1) * math.radians(augment.rotation)
    top, left, tall, wide = crop_window(augment, extra)
    cos, sin, aspect = torch.cos(angle), torch.sin(angle), width / height
    # Rows map output coordinates (x, y, 1), each from -1 to 1, to input coordinates.
    theta = torch.stack(
        [
            torch.stack([wide * cos, -wide * sin / aspect, 2 * left + wide - 1], dim=1),
            torch.stack([tall * sin * aspect, tall * cos, 2 * top + tall - 1], dim=1),
        ],
        dim=1,
    )
    grid = F.affine_grid(theta, [count, 1, height, width], align_corners=False)
    outside = "zeros" if augment.rotation else "border"  # a window alone reaches out by half a pixel at most
    return F.grid_sample(images, grid, mode="bilinear", padding_mode=outside, align_corners=False)


def crop_window(augment: Augment, extra: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Top, left, height and width, each (B,), of the window to enlarge, as shares of the image's sides."""
    if not augment.resized_crop:
        zero = torch.zeros_like(extra[:, AREA])
        return zero, zero, zero + 1, zero + 1
    area = augment.resized_crop + (1 - augment.resized_crop) * extra[:, AREA]
    ratio = torch.exp((2 * extra[:, RATIO] - 1) * math.log(4 / 3))
    tall = torch.sqrt(area / ratio).clamp(max=1)
    wide = torch.sqrt(area * ratio).clamp(max=1)
    return extra[:, CROP_Y] * (1 - tall), extra[:, CROP_X] * (1 - wide), tall, wide


def cut_out(images: torch.Tensor, side: int, extra: torch.Tensor) -> torch.Tensor:
    """Set a square to 0, the mean of normalised images, in place; it may stick out over the edge."""
    _, _, height, width = images.shape
    top = (extra[:, CUT_Y] * height).floor() - side // 2
    left = (extra[:, CUT_X] * width).floor() - side // 2
    return images.mul_(_outside_boxes(top, left, top + side, left + side, height, width))


def mix(
    images: torch.Tensor, targets: torch.Tensor, classes: int, augment: Augment, extra: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mix each image with its neighbour in the batch (which the shuffling chose), by mixup or cutmix.

    Neighbours are positions 2k and 2k + 1, which even shares of several processes never divide. An odd last one stays.

    Args:
        images: (B, C, H, W) float.
        targets: (B,) int64.
        classes: K.
        augment: alphas.
        extra: (B, 12) draws.

    Returns:
        Images, and targets as (B, K) probabilities.
    """
    count, _, height, width = images.shape
    partner = (torch.arange(count, device=images.device) ^ 1).clamp_(max=count - 1)
    weight = extra[:, MIXUP]
    share = weight.view(-1, 1, 1, 1)  # of the image's own pixels: one value, or 0 in a box and 1 around it
    if augment.cutmix:
        side = torch.sqrt(1 - extra[:, CUTMIX]) / 2
        top = ((extra[:, BOX_Y] - side) * height).round().clamp(0, height)
        left = ((extra[:, BOX_X] - side) * width).round().clamp(0, width)
        bottom = ((extra[:, BOX_Y] + side) * height).round().clamp(0, height)
        right = ((extra[:, BOX_X] + side) * width).round().clamp(0, width)
        by_box = extra[:, CHOICE] < (0.5 if augment.mixup else 1.0)
        box = _outside_boxes(top, left, bottom, right, height, width)
        share = torch.where(by_box.view(-1, 1, 1, 1), box, share)
        weight = torch.where(by_box, 1 - (bottom - top) * (right - left) / (height * width), weight)
    chances = F.one_hot(targets, classes).to(images.dtype)
    return (
        torch.lerp(images.index_select(0, partner), images, share),
        torch.lerp(chances[partner], chances, weight.view(-1, 1)),
    )


def _outside_boxes(
    top: torch.Tensor, left: torch.Tensor, bottom: torch.Tensor, right: torch.Tensor, height: int, width: int
) -> torch.Tensor:
    """(B, 1, H, W) float, 0 in each rectangle [top, bottom) x [left, right) and 1 elsewhere.

    Numbers, not truth values: arithmetic with a broadcast mask is several times as fast on a CPU as filling by it.
    """
    rows = torch.arange(height, device=top.device)
    columns = torch.arange(width, device=top.device)
    inside_y = (rows >= top[:, None]) & (rows < bottom[:, None])
    inside_x = (columns >= left[:, None]) & (columns < right[:, None])
    return (~(inside_y[:, :, None] & inside_x[:, None, :]))[:, None].float()
