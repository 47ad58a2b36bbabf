"""The filters of the first layer."""

from __future__ import annotations

from math import ceil

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from torch import Tensor, nn

from experiments.viz.canvas import INK, SMALL, figure
from experiments.viz.labels import shorten
from experiments.viz.raster import put, write


def first_filters(model: nn.Module, channels: int, size: tuple[int, int]) -> Tensor | None:
    """Weights of the first layer as images (N, C, h, w).

    Those of a convolution as they are; the rows of a linear layer that reads whole images of this size in
    their shape; None where the first layer with weights is neither.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            return module.weight.detach()
        if isinstance(module, nn.Linear):
            whole = module.in_features == channels * size[0] * size[1]
            return module.weight.detach().reshape(-1, channels, *size) if whole else None
    return None


def filters(
    weights: Tensor, names: tuple[str, ...] = (), *, title: str = "First-layer filters", most: int = 64
) -> Figure:
    """Filters as a grid of images.

    Colour filters are shown in colour, each stretched to its own range around grey; others in blue
    (negative) over white (zero) to red (positive), all to one scale, averaged over their channels where
    these are not one.

    Args:
        weights: (N, C, h, w).
        names: N of them to stand above the filters, or none.
        most: filters at most; more are left out, and said.
    """
    values = weights.float().cpu().numpy()[:most]
    count, channels, tall, wide = values.shape
    colour = channels == 3
    if colour:
        span = np.abs(values).max(axis=(1, 2, 3), keepdims=True)
        values = (0.5 + 0.5 * values / np.maximum(span, 1e-12)).transpose(0, 2, 3, 1)
    else:
        values = values.mean(axis=1)
    limit = float(np.quantile(np.abs(values), 0.999)) or 1.0

    columns = next((c for c in (count, 6, 5, 8) if c <= 8 and count % c == 0), 8)
    rows = ceil(count / columns)
    tile = 1.4 if count <= 16 else 1.05
    above = 0.3 if len(names) == count else 0.1
    step_x, step_y = tile + 0.12, tile + above
    key = 0.0 if colour else 0.75
    width, height = max(columns * step_x + 0.35 + key, 6.5), rows * step_y + 0.8
    shape = f"{len(weights)} of {tall} × {wide}" + (f" × {channels}" if channels > 1 else "")
    fig = figure(width, height, title, shape + (f", the first {most}" if len(weights) > most else ""))
    shades = colormaps["RdBu_r"]
    for i in range(count):
        left, top = 0.2 + i % columns * step_x, 0.65 + i // columns * step_y + above - 0.05
        put(fig, values[i] if colour else shades(0.5 + 0.5 * values[i] / limit)[..., :3], left, top, tile)
        if len(names) == count:
            write(fig, left, top - 0.13, shorten(names[i], 14), size=SMALL, colour=INK)
    if not colour and count:
        left, top, tall_key = 0.3 + columns * step_x, 0.7, min(rows * step_y - 0.1, 3.0) - 0.05
        key_shades = np.repeat(
            shades(np.linspace(1, 0, 256))[:, None, :3], max(1, round(256 * 0.14 / tall_key)), axis=1
        )
        put(fig, key_shades, left, top, tall_key)
        for place, text in ((0.0, f"{limit:.2g}"), (0.5, "0"), (1.0, f"−{limit:.2g}")):
            write(fig, left + 0.2, top + place * tall_key, text, size=SMALL, colour=INK)
    return fig
