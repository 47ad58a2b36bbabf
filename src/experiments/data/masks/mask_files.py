"""An image and its mask, from their files to arrays of one size."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from experiments.data.images.image_files import ImageHeader, decode, header
from experiments.data.masks.mask_values import IGNORED
from experiments.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image as Picture
    from torch import Tensor

_TURNED = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_270", 7: "TRANSVERSE", 8: "ROTATE_90"}  # fmt: skip


class Pair(NamedTuple):
    """One example.

    Attributes:
        name: of the image, for people.
        image: its file, or pixels (H, W, 3) uint8.
        mask: gives the classes of its pixels, told the image's height and width: (H, W) uint8.
        mask_name: of what the mask is read from, for messages.
    """

    name: str
    image: Path | np.ndarray
    mask: Callable[[tuple[int, int]], np.ndarray]
    mask_name: str

    @property
    def header(self) -> ImageHeader:
        """Height, width and turn of the image.

        Raises:
            UserError: the file has no header of an image.
        """
        if isinstance(self.image, np.ndarray):
            return ImageHeader(self.image.shape[0], self.image.shape[1], 1)
        return header(self.image)


class Photograph(NamedTuple):
    """A new image.

    Attributes:
        values: (1, C, h, w), scaled and normalised.
        pixels: (H, W, 3) uint8, as it came, upright.
    """

    values: Tensor
    pixels: np.ndarray


def picture_of(image: Any, grey: bool, bits: int) -> Picture:
    """Return a file, a Pillow image or a uint8 array as a Pillow image, upright, grey or in colour.

    Raises:
        UserError: it cannot be read.
    """
    from PIL import Image

    pixels = decode(image, None, grey, bits=bits)
    return Image.fromarray(pixels[0] if grey else np.ascontiguousarray(pixels.transpose(1, 2, 0)))


def pair_of(image: Path, mask: Path, read: Callable[[Path, tuple[int, int]], np.ndarray]) -> Pair:
    """Return an example of two files, whose mask `read` reads."""
    return Pair(image.name, image, partial(read, mask), str(mask))


def load_pair(
    pair: Pair, stored: ImageHeader, size: tuple[int, int] | None, fit: str, grey: bool, bits: int, exif: str
) -> tuple[np.ndarray, np.ndarray]:
    """Image (C, H, W) and mask (H, W), both uint8, upright and of one size.

    Args:
        pair: the files.
        stored: the image's header.
        size: height and width; None keeps the image's.
        fit: see `fitted`.
        grey: one channel, else three.
        bits: of an image of 16 bits, see `decode`.
        exif: what the mask of a photograph that is to be turned fits: `upright` or `stored`; `auto` decides it by its size.

    Raises:
        UserError: a file cannot be read, or image and mask differ in size.
    """
    from PIL import Image

    pixels = decode(pair.image, None, grey, bits=bits)
    tall, wide = pixels.shape[1:]
    mask = pair.mask((tall, wide))
    if stored.turn > 1 and exif != "upright" and mask.shape == stored[:2]:
        mask = np.asarray(Image.fromarray(mask).transpose(Image.Transpose[_TURNED[stored.turn]]))
    if mask.shape != (tall, wide):
        raise UserError(
            f"{pair.mask_name} has {mask.shape[0]} × {mask.shape[1]} pixels and its image {pair.name} {tall} × {wide}: "
            "make them alike, without interpolation of the mask"
        )
    if size is None or size == (tall, wide):
        return pixels, mask
    image = Image.fromarray(pixels[0] if grey else np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    drawn, marked = fitted(image, size, fit), fitted(Image.fromarray(mask), size, fit, is_mask=True)
    array = np.array(drawn)
    return (array[None] if grey else np.ascontiguousarray(array.transpose(2, 0, 1))), np.array(marked)


def fitted(picture: Picture, size: tuple[int, int], fit: str, is_mask: bool = False) -> Picture:
    """Return a picture at another size.

    Args:
        picture: image, or mask with `is_mask`, whose values are never mixed.
        size: height and width.
        fit: "cover" scales until the size is covered and takes the middle; "stretch" changes the shape; "pad" shows all of it,
            with black bars, which are ignored in the mask.
        is_mask: see above.
    """
    from PIL import Image

    how = Image.Resampling.NEAREST if is_mask else Image.Resampling.BILINEAR
    height, width = size
    if fit == "stretch":
        return picture.resize((width, height), how)
    if fit == "cover":
        scale = max(height / picture.height, width / picture.width)
        wide, tall = width / scale, height / scale
        left, top = (picture.width - wide) / 2, (picture.height - tall) / 2
        box = (max(left, 0), max(top, 0), min(left + wide, picture.width), min(top + tall, picture.height))
        return picture.resize((width, height), how, box=box)
    scale = min(height / picture.height, width / picture.width)
    inner = (max(1, min(width, round(picture.width * scale))), max(1, min(height, round(picture.height * scale))))
    whole: Any = IGNORED if is_mask else 0 if picture.mode == "L" else (0, 0, 0)
    canvas = Image.new(picture.mode, (width, height), whole)
    canvas.paste(picture.resize(inner, how), ((width - inner[0]) // 2, (height - inner[1]) // 2))
    return canvas
