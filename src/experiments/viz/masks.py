"""Masks: true and predicted ones beside their images, and how well each class is covered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from experiments.viz.canvas import GREY, INK, RED, SMALL, add_axes, figure, quiet
from experiments.viz.images import to_pixels
from experiments.viz.labels import shorten
from experiments.viz.raster import put, text_width, write

TILE = 2.6  # inches, the longer side of an image
LEGEND = 24  # classes named below a picture at most


def masks(
    images: Tensor,
    true: Tensor | None,
    predicted: Tensor | None,
    captions: Sequence[str],
    spec: Any,
    *,
    title: str,
    note: str = "",
) -> Figure:
    """Return a row an image: the image, its true mask, the predicted one, and the pixels where these differ.

    Args:
        images: (N, C, H, W) normalised as `spec` says.
        true: (N, H, W) classes, of which what is no class stays white; or None.
        predicted: (N, H, W), or None.
        captions: N texts.
        spec: classes with their colours.
    """
    pixels = to_pixels(images, spec.mean, spec.std)
    pixels = pixels if pixels.ndim == 4 else np.repeat(pixels[..., None], 3, axis=3)
    columns: list[tuple[str, np.ndarray]] = [("image", pixels)]
    if true is not None:
        columns.append(("true", coloured(true.numpy(), spec.colours)))
    if predicted is not None:
        columns.append(("predicted", coloured(predicted.numpy(), spec.colours)))
    if true is not None and predicted is not None:
        of_a_class = true.numpy() < len(spec.classes)
        differs = (of_a_class & (predicted.numpy() != true.numpy()))[..., None]
        wrong = np.where(differs, np.array([0.84, 0.1, 0.1]), 0.25 * pixels + 0.7)
        columns.append(("wrong", np.where(of_a_class[..., None], wrong, 1.0)))
    tall, wide = pixels.shape[1:3]
    scale = TILE / max(tall, wide)
    step_x, step_y = wide * scale + 0.12, tall * scale + 0.42
    shown = _shown([mask for mask in (true, predicted) if mask is not None], spec)
    width = max(0.4 + len(columns) * step_x, 6.0)
    legend, lines = _legend(shown, spec, width)
    height = 1.05 + len(pixels) * step_y + 0.3 * lines + 0.1
    fig = figure(width, height, title, note)
    for place, (name, several) in enumerate(columns):
        left = 0.2 + place * step_x
        write(fig, left, 0.85, name, size=SMALL, colour=GREY)
        for row, image in enumerate(several):
            put(fig, np.clip(image, 0, 1), left, 1.3 + row * step_y, max(tall, wide) * scale)
    for row, caption in enumerate(captions):
        write(fig, 0.2, 1.15 + row * step_y, shorten(caption, 60), size=SMALL, colour=INK)
    top = 1.2 + len(pixels) * step_y
    for x, line, name, colour in legend:
        put(fig, np.ones((8, 8, 3)) * rgb(colour), x, top + 0.3 * line - 0.08, 0.16)
        write(fig, x + 0.24, top + 0.3 * line, name, size=SMALL, colour=INK)
    return fig


def _shown(masks: Sequence[Tensor], spec: Any) -> list[int]:
    labels = {place for mask in masks for place in mask.unique().tolist() if place < len(spec.classes)}
    return sorted(labels)[:LEGEND]


def _legend(shown: Sequence[int], spec: Any, width: float) -> tuple[list[tuple[float, int, str, str]], int]:
    """Place, line, name and colour of each class, and the number of lines."""
    items: list[tuple[float, int, str, str]] = []
    x, line = 0.2, 0
    for place in shown:
        name = shorten(spec.classes[place], 20)
        room = 0.24 + text_width(name, SMALL) + 0.25
        if x + room > width - 0.1 and x > 0.2:
            x, line = 0.2, line + 1
        items.append((x, line, name, spec.colours[place]))
        x += room
    return items, line + 1


def rgb(colour: str) -> np.ndarray:
    """ "#rrggbb" as three numbers from 0 to 1."""
    return np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])


def coloured(mask: np.ndarray, colours: Sequence[str]) -> np.ndarray:
    """Classes as colours, white where there is none: (N, H, W) -> (N, H, W, 3) from 0 to 1."""
    table = np.array([*(rgb(colour) for colour in colours), [1.0, 1.0, 1.0]])
    return table[np.minimum(mask, len(colours))]


def chance_maps(images: Tensor, rows: Sequence[tuple[str, Tensor]], names: Sequence[str], spec: Any) -> Figure:
    """Return an image a column, and below it maps of values from 0 to 1, a row each.

    Args:
        images: (N, C, H, W) normalised as `spec` says.
        rows: names and maps (N, H, W).
        names: of the images.
        spec: with mean and deviation.
    """
    from matplotlib import colormaps

    pixels = to_pixels(images, spec.mean, spec.std)
    tall, wide = pixels.shape[1:3]
    scale = 0.7 * TILE / max(tall, wide)
    step_x, step_y = wide * scale + 0.12, tall * scale + 0.12
    left = 0.4 + max(text_width(shorten(name, 20), SMALL) for name, _ in [*rows, ("image", images)])
    width, height = max(left + len(pixels) * step_x + 0.1, 6.0), 1.1 + (len(rows) + 1) * step_y
    fig = figure(width, height, "Chances of the classes")
    for place, (image, name) in enumerate(zip(pixels, names, strict=True)):
        write(fig, left + place * step_x, 0.85, shorten(name, int(9 * step_x)), size=SMALL, colour=GREY)
        put(fig, image, left + place * step_x, 1.05, max(tall, wide) * scale)
    for row, (name, values) in enumerate(rows, 1):
        top = 1.05 + row * step_y
        write(fig, left - 0.15, top + tall * scale / 2, shorten(name, 20), size=SMALL, colour=INK, align="right")
        for place, channel_map in enumerate(values.numpy()):
            put(fig, colormaps["inferno"](channel_map)[..., :3], left + place * step_x, top, max(tall, wide) * scale)
    return fig


def class_bars(
    values: Sequence[float | None], classes: Sequence[str], colours: Sequence[str], most: int = 40
) -> Figure:
    """IoU of each class as a bar in its colour, the best above; classes that do not occur are left out."""
    there = [
        (value, name, colour) for value, name, colour in zip(values, classes, colours, strict=True) if value is not None
    ]
    there.sort(key=lambda entry: -entry[0])
    left_out, there = len(there) - most, there[:most]
    left = 0.5 + max((text_width(shorten(name, 24), SMALL) for _, name, _ in there), default=1.0)
    width, height = left + 6.4, 1.3 + 0.34 * len(there)
    fig = figure(width, height, "IoU of each class", f"the {left_out} lowest are left out" if left_out > 0 else "")
    ax = add_axes(fig, left, 0.55, width - left - 0.7, height - 1.3)
    quiet(ax)
    ax.barh(range(len(there)), [value for value, _, _ in there], color=[_dark(colour) for _, _, colour in there])
    ax.set_yticks(range(len(there)), [shorten(name, 24) for _, name, _ in there], fontsize=SMALL, color=INK)
    ax.invert_yaxis()
    ax.set_xlim(0, 1)
    for place, (value, _, _) in enumerate(there):
        ax.text(value + 0.01, place, f"{value:.3f}", fontsize=SMALL, color=INK if value > 0 else RED, va="center")
    return fig


def _dark(colour: str) -> np.ndarray:
    """Return a colour that can be seen on white."""
    values = rgb(colour)
    return values * min(1.0, 0.75 / max(float(values.mean()), 1e-9))
