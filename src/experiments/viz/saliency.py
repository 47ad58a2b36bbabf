"""Saliency: which pixels a network's answer depends on, and which image excites a unit most."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import ceil
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from experiments.viz.canvas import GREY, INK, ORANGE, RED, SMALL, TEXT, ground, tile
from experiments.viz.canvas import figure as empty
from experiments.viz.labels import shorten
from experiments.viz.raster import text_width

TILE, GAP = 1.75, 0.12


def evidence(
    images: np.ndarray,
    layers: Sequence[tuple[str, np.ndarray]],
    captions: Sequence[tuple[str, str]],
    *,
    wrong: Collection[int] = (),
    title: str = "What the answer depends on",
    note: str = "",
) -> Figure:
    """Return an image a group: as it is, and under each of some layers of heat.

    Args:
        images: (N, H, W, 3) or, grey, (N, H, W), in [0, 1].
        layers: name and heat (N, H, W) in [0, 1] each; the first is laid over the image, the others stand alone.
        captions: N of them, a bold part and a grey one.
        wrong: numbers of images whose bold part is red.
    """
    each = 1 + len(layers)
    wide = each * (TILE + GAP)
    columns = 2 if len(images) > 1 else 1
    rows = ceil(len(images) / columns)
    width, height = max(0.2 + columns * (wide + 0.35), 6.8), 0.95 + rows * (TILE + 0.62)
    fig = empty(width, height, title, note)
    ax = ground(fig, width, height)
    for column in range(min(columns, len(images))):
        for place, name in enumerate(["image", *(name for name, _ in layers)]):
            left = 0.2 + column * (wide + 0.35) + place * (TILE + GAP)
            ax.text(left, 0.8, name, fontsize=SMALL, color=GREY, va="center")
    for number, (image, (first, second)) in enumerate(zip(images, captions, strict=True)):
        left = 0.2 + number % columns * (wide + 0.35)
        top = 0.95 + number // columns * (TILE + 0.62)
        colour = RED if number in wrong else INK
        bold = shorten(first, 42)
        ax.text(left, top + 0.15, bold, fontsize=TEXT, color=colour, weight="bold", va="center")
        ax.text(
            left + text_width(bold, TEXT, bold=True) + 0.12,
            top + 0.155,
            shorten(second, 24),
            fontsize=SMALL,
            color=GREY,
            va="center",
        )
        tile(ax, image, left, top + 0.34, TILE, "gray", (0.0, 1.0))
        for place, (_, heat) in enumerate(layers):
            shown = overlay(image, heat[number]) if place == 0 and len(layers) > 1 else heat[number]
            tile(ax, shown, left + (place + 1) * (TILE + GAP), top + 0.34, TILE, "magma", (0.0, 1.0))
    return fig


def overlay(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Return an image in grey, painted over from yellow to red where there is heat: (H, W[, 3]), (H, W) in [0, 1] ->
    (H, W, 3).
    """
    grey = image if image.ndim == 2 else image @ np.array([0.299, 0.587, 0.114], image.dtype)
    colour = matplotlib.colormaps["autumn_r"](heat)[..., :3]
    cover = 0.8 * heat[..., None] ** 1.5  # little heat leaves the image as it is
    return np.clip((1 - cover) * (0.1 + 0.9 * grey[..., None]) + cover * colour, 0, 1)


class Unit(NamedTuple):
    """A unit and the images that excite it most.

    Attributes:
        name: `layer4 · unit 17`.
        note: in grey below it, or empty.
        images: (k, H, W, 3) or (k, H, W) in [0, 1], the strongest first.
        boxes: k times left, top, width and height in pixels of what the unit saw, or None.
        captions: k names of classes.
    """

    name: str
    note: str
    images: np.ndarray
    boxes: Sequence[tuple[float, float, float, float] | None]
    captions: Sequence[str]


def units(shown: Sequence[Unit], *, title: str = "Most activating images", note: str = "") -> Figure:
    """Return a row a unit: the images that excite it most, framed where it looked."""
    side, left = 1.3, 1.75
    columns = max(len(unit.images) for unit in shown)
    width, height = max(left + columns * (side + GAP) + 0.1, 6.8), 0.65 + len(shown) * (side + 0.42) + 0.05
    fig = empty(width, height, title, note)
    ax = ground(fig, width, height)
    for row, unit in enumerate(shown):
        top = 0.65 + row * (side + 0.42)
        middle = top + 0.25 + side / 2
        ax.text(0.2, middle - 0.12, shorten(unit.name, 16), fontsize=TEXT, color=INK, weight="bold", va="center")
        ax.text(0.2, middle + 0.14, unit.note, fontsize=SMALL, color=GREY, va="center")
        scale = side / max(unit.images.shape[1:3])
        for place, (image, box, caption) in enumerate(zip(unit.images, unit.boxes, unit.captions, strict=True)):
            x = left + place * (side + GAP)
            ax.text(x, top + 0.12, shorten(caption, 15), fontsize=SMALL - 0.5, color=INK, va="center")
            tile(ax, image, x, top + 0.25, side, "gray", (0.0, 1.0))
            if box is not None:
                corner = (x + box[0] * scale, top + 0.25 + box[1] * scale)
                size = (box[2] * scale, box[3] * scale)
                frame = ax.add_patch(Rectangle(corner, *size, fill=False, edgecolor=ORANGE, linewidth=2))
                frame.set_path_effects([withStroke(linewidth=3.5, foreground="black")])
    return fig
