"""Feature maps: the output of each stage of a network for one image."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.viz.canvas import GREY, INK, SMALL, TEXT, figure, ground, tile
from experiments.viz.labels import shorten

TILE, GAP, LEFT = 1.22, 0.08, 1.75  # inches


class MapRow(NamedTuple):
    """Some channels of one stage.

    Attributes:
        name: of the stage.
        shape: of its output, in words.
        maps: (k, h, w), or (n,) for a stage without places.
        channels: k numbers of these channels; none for a stage without places.
    """

    name: str
    shape: str
    maps: np.ndarray
    channels: Sequence[int]


def feature_maps(image: np.ndarray, rows: Sequence[MapRow], *, title: str = "Feature maps", note: str = "") -> Figure:
    """Return the image, and below it a row a stage from shallow to deep; each map from dark (its least) to bright (its
    most).

    Args:
        image: (H, W, 3) or, grey, (H, W), in [0, 1].
        rows: the stages in forward order.
    """
    columns = max([row.maps.shape[0] for row in rows if row.maps.ndim == 3], default=6)
    heights = [0.55 if row.maps.ndim == 1 else TILE + 0.28 for row in rows]
    across = columns * (TILE + GAP)
    width = max(LEFT + across + 0.1, 6.8)
    height = 0.65 + TILE + 0.2 + sum(heights) + 0.1
    fig = figure(width, height, title, note)
    ax = ground(fig, width, height)
    tile(ax, image, LEFT, 0.65, TILE, "gray", (0.0, 1.0))
    _name(ax, "image", f"{image.shape[0]} × {image.shape[1]}", 0.65 + TILE / 2)
    top = 0.65 + TILE + 0.2
    for row, high in zip(rows, heights, strict=True):
        if row.maps.ndim == 1:
            box = (LEFT, LEFT + across - GAP, top + 0.4, top + 0.05)
            ax.imshow(row.maps[None], cmap="magma", extent=box, aspect="auto", interpolation="nearest")
            _name(ax, row.name, row.shape, top + 0.22)
        else:
            for place, (unit_map, channel) in enumerate(zip(row.maps, row.channels, strict=True)):
                left = LEFT + place * (TILE + GAP)
                tile(ax, unit_map, left, top + 0.2, TILE, "magma", None)
                ax.text(left, top + 0.1, str(channel), fontsize=SMALL - 1.5, color=GREY, va="center")
            _name(ax, row.name, row.shape, top + 0.2 + TILE / 2)
        top += high
    return fig


def stage_maps(row: MapRow, image: np.ndarray, *, title: str = "", note: str = "") -> Figure:
    """Many channels of one stage for one image, each with its number.

    Args:
        row: of one stage, maps (k, h, w).
        image: (H, W, 3) or, grey, (H, W), in [0, 1]; it comes first.
    """
    count = len(row.maps) + 1
    columns = min(8, count)
    lines = ceil(count / columns)
    width, height = max(0.2 + columns * (TILE + GAP) + 0.1, 6.8), 0.65 + lines * (TILE + 0.28) + 0.1
    fig = figure(width, height, title, note)
    ax = ground(fig, width, height)
    for place in range(count):
        left = 0.2 + place % columns * (TILE + GAP)
        top = 0.6 + place // columns * (TILE + 0.28)
        text = str(row.channels[place - 1]) if place else "image"
        ax.text(left, top + 0.1, text, fontsize=SMALL - 1, color=GREY if place else INK, va="center")
        if place:
            tile(ax, row.maps[place - 1], left, top + 0.22, TILE, "magma", None)
        else:
            tile(ax, image, left, top + 0.22, TILE, "gray", (0.0, 1.0))
    return fig


def _name(ax: Axes, name: str, shape: str, y: float) -> None:
    ax.text(0.2, y - 0.12, shorten(name, 16), fontsize=TEXT, color=INK, weight="bold", va="center")
    ax.text(0.2, y + 0.14, shape, fontsize=SMALL, color=GREY, va="center")
