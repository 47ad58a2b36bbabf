"""Many short texts and small images, drawn at once: matplotlib takes a millisecond or two for each by itself.

Places are inches from the upper left corner of the figure, so a picture keeps its look at every resolution.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.backend_bases import RendererBase
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont, features

from experiments.viz.fonts import latin, pieces

_ANCHORS = {"left": "l", "center": "m", "right": "r"}


@dataclass
class _Text:
    text: str
    x: float
    y: float
    size: float
    colour: str
    bold: bool
    align: str
    upright: bool


@lru_cache(maxsize=64)
def _font(pixels: float, bold: bool, file: str | None = None) -> ImageFont.FreeTypeFont:
    """matplotlib's own typeface, which is there wherever matplotlib is; or that of a file, whose letters may join."""
    if file is not None:
        return ImageFont.truetype(file, pixels)
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name
    return ImageFont.truetype(str(path), pixels, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=1024)
def _pieces(text: str) -> list[tuple[str, str | None]]:
    runs = pieces(text)
    if any(file for _, file in runs) and not features.check("raqm"):  # else the syllables of Indian scripts are torn
        return [(latin(text), None)]
    return runs


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Inches that a text of so many points takes."""
    return _length(text, 100.0, bold) / 100 * size / 72


def _length(text: str, pixels: float, bold: bool) -> float:
    return float(sum(_font(pixels, bold, file).getlength(piece) for piece, file in _pieces(text)))


def _put_text(pen: ImageDraw.ImageDraw, place: tuple[float, float], item: _Text, pixels: float, align: str) -> None:
    """Draws a text, piece by piece, with its middle line at a place."""
    x, y = place
    x -= {"left": 0.0, "center": 0.5, "right": 1.0}[align] * _length(item.text, pixels, item.bold)
    for piece, file in _pieces(item.text):
        font = _font(pixels, item.bold, file)
        pen.text((x, y), piece, fill=255, font=font, anchor="lm")
        x += font.getlength(piece)


class TextArtist(Artist):
    """Texts of a figure. Each is centred upon its place from top to bottom."""

    def __init__(self) -> None:
        super().__init__()
        self.items: list[_Text] = []
        self.set_zorder(10)

    def draw(self, renderer: RendererBase) -> None:
        assert isinstance(self.figure, Figure)
        dpi = self.figure.dpi
        wide, tall = (round(side * dpi) for side in self.figure.get_size_inches())
        for colour in dict.fromkeys(item.colour for item in self.items):
            mask = Image.new("L", (wide, tall))
            pen = ImageDraw.Draw(mask)
            for item in self.items:
                if item.colour == colour:
                    _write(mask, pen, item, dpi)
            box = mask.getbbox()
            if box is None:
                continue
            # Red, green, blue and how much of it, as one number of four bytes.
            red, green, blue = (round(255 * part) for part in to_rgba(colour)[:3])
            whole = np.asarray(mask.crop(box)).astype("<u4") << 24 | (red | green << 8 | blue << 16)
            _put(renderer, whole.view(np.uint8).reshape(*whole.shape, 4), box[0], tall - box[3])


def _write(mask: Image.Image, pen: ImageDraw.ImageDraw, item: _Text, dpi: float) -> None:
    pixels, place = item.size * dpi / 72, (item.x * dpi, item.y * dpi)
    if not item.upright:
        if item.text.isascii():
            pen.text(place, item.text, fill=255, font=_font(pixels, item.bold), anchor=f"{_ANCHORS[item.align]}m")
        else:
            _put_text(pen, place, item, pixels, item.align)
        return
    long, high = round(_length(item.text, pixels, item.bold)) + 2, round(1.4 * pixels)
    flat = Image.new("L", (long, high))
    _put_text(ImageDraw.Draw(flat), (1, high / 2), item, pixels, "left")
    along = {"left": 0.0, "center": long / 2, "right": float(long)}[item.align]
    turned = flat.transpose(Image.Transpose.ROTATE_90)  # read from below
    mask.paste(255, (round(place[0] - high / 2), round(place[1] - long + along)), turned)


@dataclass
class _Tile:
    pixels: np.ndarray  # (H, W, 3) of bytes
    left: float
    top: float
    side: float


class Tiles(Artist):
    """Images of a figure: enlarged by whole pixels, reduced smoothly."""

    def __init__(self) -> None:
        super().__init__()
        self.items: list[_Tile] = []
        self.set_zorder(5)

    def draw(self, renderer: RendererBase) -> None:
        assert isinstance(self.figure, Figure)
        dpi = self.figure.dpi
        whole = round(self.figure.get_size_inches()[1] * dpi)
        if not self.items:
            return
        # All on one sheet, between the outermost of their edges.
        boxes = [_box(item, dpi) for item in self.items]
        left, top = min(box[0] for box in boxes), min(box[1] for box in boxes)
        right, bottom = max(box[2] for box in boxes), max(box[3] for box in boxes)
        sheet = np.zeros((bottom - top, right - left, 4), np.uint8)
        for item, (x0, y0, x1, y1) in zip(self.items, boxes, strict=True):
            part = sheet[y0 - top : y1 - top, x0 - left : x1 - left]
            copy_colours(_sized(item.pixels, x1 - x0, y1 - y0), part)
            part[..., 3] = 255
        _put(renderer, sheet, left, whole - bottom)


def _box(item: _Tile, dpi: float) -> tuple[int, int, int, int]:
    tall, wide = item.pixels.shape[:2]
    scale = item.side / max(tall, wide) * dpi
    left, top = round(item.left * dpi), round(item.top * dpi)
    return left, top, left + max(1, round(wide * scale)), top + max(1, round(tall * scale))


def _sized(pixels: np.ndarray, wide: int, tall: int) -> np.ndarray:
    h, w = pixels.shape[:2]
    if max(h, w) > max(tall, wide):
        return np.asarray(Image.fromarray(pixels).resize((wide, tall), Image.Resampling.LANCZOS))
    rows, columns = np.arange(tall) * h // tall, np.arange(wide) * w // wide
    return pixels.take(columns, axis=1).take(rows, axis=0)


def copy_colours(pixels: np.ndarray, to: np.ndarray) -> None:
    """Copies red, green and blue of an image (H, W, 3 or 4) into another, colour by colour: at once, NumPy takes six times as long."""
    for colour in range(3):
        to[..., colour] = pixels[..., colour]


def _put(renderer: RendererBase, pixels: np.ndarray, left: float, bottom: float) -> None:
    """Draws bytes (H, W, 4), their first row on top, with the lower left corner at a place in dots."""
    gc: Any = renderer.new_gc()
    renderer.draw_image(gc, left, bottom, pixels[::-1])
    gc.restore()


def _own(fig: Figure, kind: type[Any]) -> Any:
    """Return the figure's artist of a kind, made with the first use."""
    artist = next((candidate for candidate in fig.artists if isinstance(candidate, kind)), None)
    return artist if artist is not None else fig.add_artist(kind())


def write(
    fig: Figure,
    x: float,
    y: float,
    text: str,
    *,
    size: float,
    colour: str,
    bold: bool = False,
    align: str = "left",
    upright: bool = False,
) -> None:
    """Writes a text into a figure, at so many inches from its upper left corner.

    Args:
        size: points.
        align: which part of the text is at `x`, or at `y` where it is upright: left (its beginning), center or right.
        upright: read from below.
    """
    _own(fig, TextArtist).items.append(_Text(text, x, y, size, colour, bold, align, upright))


def put(fig: Figure, pixels: np.ndarray, left: float, top: float, side: float) -> None:
    """Puts an image into a figure, its upper left corner so many inches from the figure's, its longer side so long.

    Args:
        pixels: (H, W, 3) or, grey, (H, W), in [0, 1].
    """
    content = np.asarray(np.rint(np.clip(pixels, 0, 1) * 255), np.uint8)
    if content.ndim == 2:
        content = np.repeat(content[..., None], 3, axis=2)
    _own(fig, Tiles).items.append(_Tile(content, left, top, side))
