"""Images as a grid, and the examples that a classifier got most wrong."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from experiments.viz.canvas import GREY, INK, RED, SMALL, figure
from experiments.viz.labels import shorten
from experiments.viz.raster import put, write

TILE, TILE_MOST, WIDTH_MOST = 1.3, 1.9, 12.6  # inches


def grid(
    images: Tensor,
    captions: Sequence[str],
    *,
    mean: Sequence[float] = (0.0,),
    std: Sequence[float] = (1.0,),
    title: str = "",
    note: str = "",
) -> Figure:
    """Return a grid of images, each with a caption above it.

    Args:
        images: (N, C, H, W) with C of 1 or 3, normalised with `mean` and `std` (one value a channel).
        captions: N of them, of one line or two.
    """
    lines = [(shorten(c.partition("\n")[0], 20), shorten(c.partition("\n")[2], 20)) for c in captions]
    return _tiles(to_pixels(images, mean, std), lines, title, note, ("normal", INK))


def wrong(
    images: Tensor,
    predicted: Sequence[str],
    probabilities: Sequence[float],
    true: Sequence[str],
    *,
    mean: Sequence[float] = (0.0,),
    std: Sequence[float] = (1.0,),
    title: str = "Most wrong",
) -> Figure:
    """Return what was predicted and how surely, and below it what was true.

    Args:
        images: (N, C, H, W), most wrong first, normalised with `mean` and `std`.
        predicted: N class names.
        probabilities: N, that of the predicted class.
        true: N class names.
    """
    names = {*predicted, *true}
    captions = [
        (f"{shorten(p, 12, names)}  {'>99%' if q > 0.995 else f'{q:.0%}'}", f"is {shorten(t, 16, names)}")
        for p, q, t in zip(predicted, probabilities, true, strict=True)
    ]
    note = "predicted class with its probability, true class" if captions else "none: all were classified correctly"
    return _tiles(to_pixels(images, mean, std), captions, title, note, ("bold", RED))


def to_pixels(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> np.ndarray:
    """Map (N, C, H, W) normalised -> (N, H, W, 3) or, grey, (N, H, W), in [0, 1]. Other channel counts show their mean."""
    pixels = images.detach().float().cpu().numpy()
    shape = (1, -1, 1, 1)
    pixels = pixels * np.asarray(std, np.float32).reshape(shape) + np.asarray(mean, np.float32).reshape(shape)
    pixels = np.clip(pixels, 0, 1)
    return pixels.transpose(0, 2, 3, 1) if pixels.shape[1] == 3 else pixels.mean(axis=1)


def _tiles(
    pixels: np.ndarray, captions: list[tuple[str, str]], title: str, note: str, style: tuple[str, str]
) -> Figure:
    """Return all tiles and captions straight on the figure, without axes."""
    weight, colour = style
    count = len(captions)
    two_lines = any(second for _, second in captions)
    # Tiles grow with their captions, so that these do not run into one another.
    letter = 0.115 if weight == "bold" else 0.095
    tile = min(max([TILE, *(letter * max(map(len, lines)) for lines in captions)]), TILE_MOST)
    above, step_x = (0.52 if two_lines else 0.3), tile + 0.2
    step_y = tile + above + 0.14
    most = min(8, int((WIDTH_MOST - 0.2) / step_x))
    rows = ceil(count / most)
    columns = ceil(count / max(rows, 1))
    fig = figure(max(columns * step_x + 0.2, 4.0), rows * step_y + 0.72, title, note)
    for i, (first, second) in enumerate(captions):
        left, top = 0.2 + i % columns * step_x, 0.6 + i // columns * step_y + above
        put(fig, pixels[i], left, top, tile)
        write(fig, left, top - above + 0.16, first, size=SMALL, colour=colour, bold=weight == "bold")
        if second:
            write(fig, left, top - above + 0.38, second, size=SMALL, colour=GREY)
    return fig
