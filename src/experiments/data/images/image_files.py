"""One image into bytes of the wanted size: for training folders and for predicting alike."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from experiments.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

EXIF = 0x0112  # the tag that says how a photograph is to be turned
INTERPOLATIONS = ("bilinear", "bicubic", "lanczos", "nearest")


class SizesDifferError(UserError):
    """Images of one dataset have unequal sizes: not the file's fault, so none is skipped."""


def decode(
    source: str | Path | Picture | np.ndarray,
    size: tuple[int, int] | None,
    grey: bool,
    window: tuple[float, ...] | None = None,
    short: int | None = None,
    interpolation: str = "bilinear",
    bits: int = 16,
) -> np.ndarray:
    """Read an image, upright as its EXIF orientation says, transparency laid on white.

    Args:
        source: a file of any format and mode that Pillow reads, of a moving picture the first frame; or a Pillow image;
            or uint8 (H, W), (H, W, 1), (H, W, 3) or (H, W, 4).
        size: height and width; the image is scaled to cover it and the middle taken. None keeps the whole.
        grey: one channel, else three.
        window: top, left, height and width, as shares of the sides, of what to scale to `size` instead.
        short: the shorter side's pixels when the middle of `size` is taken, so that a margin falls away; None: no margin.
        interpolation: one of `INTERPOLATIONS`; all but the last average over what an image is reduced from.
        bits: how many of an image of 16 bits are used, see `bits_used`.

    Returns:
        (C, H, W) uint8.

    Raises:
        UserError: the file is empty, cut short, no image or a stack of them, its values are out of range, or the array is of
            another type or shape.
    """
    from PIL import Image

    mode = "L" if grey else "RGB"
    if isinstance(source, np.ndarray):
        image = _plain(_from_array(source), mode, bits)
    elif isinstance(source, Image.Image):
        try:
            image = _plain(source, mode, bits)
        except Exception as error:
            raise UserError(f"a Pillow image of mode {source.mode} cannot be read ({error}).") from error
    else:
        try:
            with Image.open(source) as opened:
                _refuse_stack(opened)
                if size is not None and window is None:
                    # JPEG can decode at a half, quarter or eighth for less; never below twice the size wanted.
                    least = 2 * max(*size, short or 0)
                    opened.draft(None, (least, least))
                image = _plain(opened, mode, bits, Path(source))
        except Exception as error:  # Pillow raises a dozen kinds, struct.error and SyntaxError among them
            raise _unreadable(source, error) from error
    if size is not None and (window is not None or image.size != size[::-1] or short):
        width, height = image.size
        if window is None:
            scale = max(size[0] / height, size[1] / width, (short or 0) / min(height, width))
            tall, wide = size[0] / scale, size[1] / scale
            top, left = (height - tall) / 2, (width - wide) / 2
        else:
            top, tall = window[0] * height, window[2] * height
            left, wide = window[1] * width, window[3] * width
        box = (max(left, 0), max(top, 0), min(left + wide, width), min(top + tall, height))
        image = image.resize(size[::-1], Image.Resampling[interpolation.upper()], box=box)
    pixels = np.array(image)  # a copy: Pillow's own memory is read-only
    return pixels[None] if grey else np.ascontiguousarray(pixels.transpose(2, 0, 1))


class ImageHeader(NamedTuple):
    """Height and width of an image as it is stored, and how it is to be turned: 1 for not at all."""

    height: int
    width: int
    turn: int

    @property
    def upright(self) -> tuple[int, int]:
        """Height and width of the image as it is shown."""
        return (self.width, self.height) if self.turn >= 5 else (self.height, self.width)


def header(path: str | Path) -> ImageHeader:
    """Return size and turn of an image, from its header alone.

    Raises:
        UserError: the file is empty or has no header of an image.
    """
    from PIL import Image

    try:
        with Image.open(path) as opened:
            turn = int(opened.getexif().get(EXIF, 1))
            return ImageHeader(opened.height, opened.width, turn if 1 <= turn <= 8 else 1)
    except Exception as error:
        raise _unreadable(path, error) from error


def check(path: str | Path) -> tuple[int, int]:
    """Height and width, upright, from the header alone.

    Raises:
        UserError: the file is empty or has no header of an image.
    """
    return header(path).upright


def _unreadable(path: str | Path, error: BaseException) -> UserError:
    path = Path(path)
    if not path.exists():
        why = "there is no such file"
    elif path.is_dir():
        why = "it is a folder: name the images in it"
    elif path.stat().st_size == 0:
        why = "the file is empty"
    else:
        unknown = type(error).__name__ == "UnidentifiedImageError"
        why = "its format is unknown: save it as PNG or JPEG" if unknown else str(error)
    return UserError(f"{path} is no readable image ({why}).")


def _refuse_stack(opened: Any) -> None:
    """Refuse a TIFF of several pages of one size, of which one alone would be read; a smaller page is a preview.

    Raises:
        ValueError: for a stack.
    """
    if opened.format != "TIFF" or (pages := getattr(opened, "n_frames", 1)) == 1:
        return
    first = opened.size
    opened.seek(1)
    second = opened.size
    opened.seek(0)
    if first == second:
        raise ValueError(f"it has {pages} pages of one size: save each as a file of its own")


def _from_array(array: np.ndarray) -> Picture:
    from PIL import Image

    if array.dtype != np.uint8 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))):
        raise UserError(
            f"an array of {array.dtype} {array.shape} is no image: give uint8 from 0 to 255, (H, W) or (H, W, 3)."
        )
    return Image.fromarray(array[:, :, 0] if array.shape[2:] == (1,) else array)


def bits_used(paths: Sequence[str | Path]) -> int:
    """Says how many bits the images of one dataset use: 16, or 12 or 8 where files of 16 bits hold no greater value.

    Cameras and scanners write 12 bits, and some programs 8, into files of 16; read as 16 bits these would be almost black.
    Looks at 32 images and, where their files have 16 bits and the values fit into 12, at up to 1,000.
    """
    greatest = max(map(_greatest, _spread(paths, 32)), default=0)
    if 0 < greatest < 2**12:
        greatest = max(map(_greatest, _spread(paths, 1000)))
    return next((bits for bits in (8, 12) if 0 < greatest < 2**bits), 16)


def _spread(paths: Sequence[str | Path], count: int) -> list[Path]:
    places = np.linspace(0, len(paths) - 1, min(count, len(paths))).astype(int)
    return [Path(paths[place]) for place in places]


def _greatest(path: Path) -> int:
    """Return the greatest value of an image of 16 bits; 0 for one of another depth, or that cannot be read."""
    from PIL import Image

    try:
        with Image.open(path) as opened:
            if opened.mode.startswith("I"):
                return int(np.asarray(opened).max())
            return int(_deep_colours(path).max()) if _is_deep(opened) else 0
    except Exception:  # whoever decodes it says so
        return 0


def _is_deep(opened: Any) -> bool:
    """Tell whether an opened file has 16 bits for each colour, of which Pillow reads the upper eight."""
    return opened.mode in ("RGB", "RGBA") and any(";16" in _raw_mode(tile[3]) for tile in getattr(opened, "tile", ()))


def _raw_mode(arguments: Any) -> str:
    """Return how the values of a file lie, as Pillow's decoders are told."""
    return str(arguments[0]) if isinstance(arguments, tuple) else str(arguments)


def _deep_colours(path: Path) -> np.ndarray:
    """Return the values (H, W, C) of a file with 16 bits for each colour: the lower bytes come in the other order of bytes."""
    from PIL import Image

    with Image.open(path) as upper, Image.open(path) as lower:
        other = []
        for codec, extents, offset, arguments in lower.tile:
            mode = _raw_mode(arguments)
            big = mode.endswith("B") or (mode.endswith("N") and sys.byteorder == "big")
            mode = mode[:-1] + ("L" if big else "B")
            given: Any = (mode, *arguments[1:]) if isinstance(arguments, tuple) else mode
            other.append(type(lower.tile[0])(codec, extents, offset, given))
        lower.tile = other
        return np.asarray(upper).astype(np.int64) << 8 | np.asarray(lower)


def _of_bits(values: np.ndarray, bits: int) -> np.ndarray:
    """Return the upper eight of so many bits.

    Raises:
        ValueError: a value has more, or is below 0.
    """
    least, greatest = int(values.min()), int(values.max())
    if least < 0 or greatest >= 2**16:
        raise ValueError(f"its values go from {least} to {greatest}: save it with 8 or 16 bits")
    if greatest >= 2**bits:
        raise ValueError(
            f"its values go up to {greatest}, and those of the dataset's other images have {bits} bits: save all with one range"
        )
    return (values >> (bits - 8)).astype(np.uint8)


def _plain(image: Picture, mode: str, bits: int, path: Path | None = None) -> Picture:
    """Turn upright, and convert any mode to grey or colour of 8 bits.

    Raises:
        ValueError: the values of a floating-point image lie neither in 0 to 1 nor in 0 to 255, or those of an image of 16 bits
            are beyond `bits`.
    """
    from PIL import Image, ImageOps

    if bits < 16 and path is not None and _is_deep(image):
        turned = image.getexif().get(EXIF, 1)
        values = _of_bits(_deep_colours(path), bits)
        image = Image.fromarray(values)
        image.getexif()[EXIF] = turned
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # keep the high bits, where converting would cut off at 255
        image = Image.fromarray(_of_bits(np.asarray(image).astype(np.int64), bits))
    elif image.mode == "F":
        values = np.asarray(image)
        least, greatest = float(values.min()), float(values.max())
        overshoot = 1 < greatest < 2 and bool((values != np.rint(values)).any())  # of 0 to 1, or very dark of 0 to 255
        if not (least >= 0 and greatest <= 255) or overshoot:
            raise ValueError(
                f"its values go from {least:g} to {greatest:g}: save it with values from 0 to 1, or to 255"
            )
        image = Image.fromarray((values * (255 if greatest <= 1 else 1)).round().astype(np.uint8))
    if "A" in image.getbands() or "transparency" in image.info:
        above = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", above.size, "white"), above)
    return image.convert(mode)
