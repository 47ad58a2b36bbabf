"""What the first layer looks for."""

from __future__ import annotations

from math import ceil

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor, nn

from experiments.viz.canvas import INK, SMALL, add_axes, figure, shorten


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
    ax = add_axes(fig, 0, 0, width, height)
    ax.set_axis_off()
    for i in range(count):
        left, top = 0.2 + i % columns * step_x, 0.65 + i // columns * step_y + above - 0.05
        scale = tile / max(tall, wide)
        picture = ax.imshow(
            values[i],
            cmap="RdBu_r",
            vmin=-limit,
            vmax=limit,
            extent=(left, left + wide * scale, top + tall * scale, top),
            interpolation="nearest",
        )
        if len(names) == count:
            ax.text(left, top - 0.13, shorten(names[i], 14), fontsize=SMALL, color=INK, va="center")
    ax.set_aspect("auto")
    ax.set_xlim(0, width)
    ax.set_ylim(height, 0)
    if not colour and count:
        tall_key = min(rows * step_y - 0.1, 3.0)
        place = add_axes(fig, 0.3 + columns * step_x, height - 0.7 - tall_key + 0.05, 0.14, tall_key - 0.05)
        bar = fig.colorbar(picture, cax=place, ticks=[-limit, 0, limit])
        bar.ax.set_yticklabels([f"−{limit:.2g}", "0", f"{limit:.2g}"])
        bar.ax.tick_params(labelsize=SMALL, length=0, colors=INK)
        bar.outline.set_visible(False)  # type: ignore[operator]
    return fig
