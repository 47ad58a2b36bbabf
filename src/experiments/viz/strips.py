"""Rows of pictures: originals and reconstructions, walks through a latent space, samples."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from torch import Tensor

from experiments.viz.canvas import GREY, INK, SMALL, add_axes, figure
from experiments.viz.images import to_pixels
from experiments.viz.labels import shorten


def strips(
    rows: Sequence[tuple[str, Tensor]],
    columns: Sequence[str] = (),
    *,
    heat: Collection[str] = (),
    title: str = "",
    note: str = "",
    tight: bool = False,
) -> Figure:
    """Return one strip of pictures a row, its name at the left, and what stands below the columns.

    Args:
        rows: names and (N, C, H, W) pixels from 0 to 1, equally many of one size in each.
        columns: N texts, or none.
        heat: names of the rows that are drawn as heat maps, all to the scale of the largest value.
        tight: no gaps between the pictures.
    """
    pictures = [_coloured(values, name in heat) for name, values in rows]
    count, (tall, wide) = max(map(len, pictures)), pictures[0].shape[1:3]
    side = min(1.0, 11.0 / max(count, 1), 9.0 / max(len(rows), 1))  # inches
    left = 0.25 + (0.1 * max((len(name) for name, _ in rows), default=0))
    scale = side / max(tall, wide)
    pad = 0 if tight else max(1, round(0.06 / scale))  # pixels
    step_x, step_y = (wide + pad) * scale, (tall + pad) * scale
    width, height = max(left + count * step_x + 0.2, 6.8), 0.65 + len(rows) * step_y + (0.35 if columns else 0.1)
    fig = figure(width, height, title, note)
    ax = add_axes(fig, 0, 0, width, height)
    ax.set_axis_off()
    for number, ((name, _), values) in enumerate(zip(rows, pictures, strict=True)):
        top = 0.65 + number * step_y
        ax.text(
            left - 0.1, top + tall * scale / 2, shorten(name, 26), fontsize=SMALL, color=INK, ha="right", va="center"
        )
        # One picture a row is drawn at once: an axes or an image each would take ten times as long.
        strip = np.ones((tall, len(values) * (wide + pad), 3), np.float32)
        for place, picture in enumerate(values):
            strip[:, place * (wide + pad) : place * (wide + pad) + wide] = picture
        extent = (left, left + strip.shape[1] * scale, top + tall * scale, top)
        ax.imshow(strip, extent=extent, interpolation="antialiased" if tall * scale * 100 < tall else "nearest")
    for place, text in enumerate(columns[:count]):
        middle = left + place * step_x + wide * scale / 2
        below = 0.65 + len(rows) * step_y + 0.12
        ax.text(middle, below, text, fontsize=min(SMALL, 11 * step_x), color=GREY, ha="center", va="center")
    ax.set_aspect("auto")
    ax.set_xlim(0, width)
    ax.set_ylim(height, 0)
    return fig


def _coloured(values: Tensor, hot: bool) -> np.ndarray:
    """Map (N, C, H, W) -> (N, H, W, 3) from 0 to 1."""
    if hot:
        grey = values.detach().float().mean(1).cpu().numpy()
        return colormaps["inferno"](grey / max(float(grey.max(initial=0.0)), 1e-9))[..., :3].astype(np.float32)
    pixels = to_pixels(values, (0.0,), (1.0,))
    return pixels if pixels.ndim == 4 else np.repeat(pixels[..., None], 3, axis=3)
