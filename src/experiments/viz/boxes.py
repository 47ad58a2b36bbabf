"""Images with boxes and masks around their objects, and precision against recall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from experiments.viz.canvas import GREY, INK, SMALL, TEXT, add_axes, figure, ground, png, quiet
from experiments.viz.fonts import writing
from experiments.viz.labels import shorten
from experiments.viz.raster import write

# Colours of the classes, taking turns; legible on photographs and told apart by the colour-blind.
COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#d55e00", "#cc79a7", "#0072b2", "#f0e442", "#ffffff")
LEGIBLE = 320  # pixels that the longer side of a drawn image has at least
MOST = 12  # classes with a curve of their own


def drawn(image: Tensor, detected: Mapping[str, Tensor], classes: Sequence[str]) -> bytes:
    """Return an image (3, H, W) from 0 to 1 with its objects, as a PNG file.

    It has the image's own size; a small one is enlarged, for the names of the objects would cover what they name.
    """
    factor = -(-LEGIBLE // max(image.shape[-2:]))
    height, width = (side * factor for side in image.shape[-2:])
    dots = 100
    fig = figure(width / dots, height / dots)
    fig.set_size_inches(width / dots, height / dots)
    ax = ground(fig, width, height)
    ax.set_position((0, 0, 1, 1))
    _image(ax, image, detected, 0, 0, width, height)
    _objects(
        ax,
        detected,
        classes,
        (0.0, 0.0, float(factor), width),
        max(1.0, min(height, width) / 250),
        max(5.0, min(height, width) / 50),
    )
    return png(fig)


def beside(
    rows: Sequence[tuple[Tensor, Mapping[str, Tensor], Mapping[str, Tensor] | None]],
    classes: Sequence[str],
    *,
    title: str = "Predictions and truth",
    note: str,
) -> Figure | None:
    """Images with what was found, and below each the same with what is there, where that is known; None without any."""
    if not rows:
        return None
    rows = rows[:8]
    side, gap, top = 2.9, 0.2, 1.0
    columns = min(4, len(rows))
    lines = -(-len(rows) // columns)
    deep = 2 if any(true is not None for _, _, true in rows) else 1
    wide, tall = columns * (side + gap) + gap, top + lines * deep * (side + 1.5 * gap)
    fig = figure(wide, tall, title, note)
    wide, tall = fig.get_size_inches()
    ax = ground(fig, wide, tall)
    for place, (image, detected, true) in enumerate(rows):
        height, width = image.shape[-2:]
        scale = side / max(height, width)
        left = gap + place % columns * (side + gap)
        for below, (objects, caption) in enumerate(((detected, "found"), (true, "there"))):
            if objects is None:
                continue
            upper = top + place // columns * deep * (side + 1.5 * gap) + below * (side + 1.3 * gap)
            write(fig, left, upper - 0.1, f"{caption}: {len(objects['labels'])}", size=SMALL, colour=GREY)
            _image(ax, image, objects, left, upper, width * scale, height * scale)
            _objects(ax, objects, classes, (left, upper, scale, width * scale), 1.2, 6.0)
    return fig


def precision_recall(precision: np.ndarray | None, per_class: Mapping[str, Mapping[str, Any]]) -> Figure | None:
    """Precision (101, K) against recall for each class, where boxes overlap by a half; the most frequent classes."""
    if precision is None:
        return None
    names = list(per_class)
    measured = [place for place, name in enumerate(names) if per_class[name]["objects"] and precision[0, place] > -1]
    measured = sorted(measured, key=lambda place: -per_class[names[place]]["objects"])[:MOST]
    if not measured:
        return None
    width, height = 9.5, 5.6
    fig = figure(width, height, "Precision and recall", "boxes that overlap by a half; area in the legend")
    ax = add_axes(fig, 0.85, 0.75, width - 4.0, height - 1.75)
    quiet(ax)
    how = writing(names)
    recall = np.linspace(0, 1, len(precision))
    for number, place in enumerate(measured):
        colour = (*COLOURS[:6], INK, GREY)[place % 8]  # that of its boxes, where it can be read on white
        ax.plot(recall, precision[:, place], color=colour, linewidth=2.0, linestyle="-" if place < 8 else "--")
        text = f"● {how.written(shorten(names[place], 18))}  {per_class[names[place]]['map50']:.3f}"
        at = height - 1.15 - 0.32 * number
        fig.text(
            (width - 3.0) / width, at / height, text, fontsize=TEXT, color=colour, va="center", fontfamily=how.families
        )
    ax.set_xlim(0, 1.02)
    ax.set_ylim(0, 1.03)
    ax.set_xlabel("recall", fontsize=SMALL, color=INK)
    ax.text(0, 1.05, "precision", transform=ax.transAxes, fontsize=TEXT, color=INK, weight="bold")
    return fig


def _image(
    ax: Axes, image: Tensor, objects: Mapping[str, Tensor], left: float, top: float, wide: float, tall: float
) -> None:
    """An image with the masks of its objects laid over it."""
    pixels = image.detach().float().cpu().clamp(0, 1).permute(1, 2, 0).numpy().copy()
    if "masks" in objects:
        masks = objects["masks"].cpu()
        masks = masks[:, 0] > 0.5 if masks.ndim == 4 else masks > 0
        for place, mask in enumerate(masks.numpy()):
            pixels[mask] = 0.55 * pixels[mask] + 0.45 * np.array(to_rgb(COLOURS[place % len(COLOURS)]))
    ax.imshow(pixels, extent=(left, left + wide, top + tall, top), aspect="auto", interpolation="antialiased")


def _objects(
    ax: Axes,
    objects: Mapping[str, Tensor],
    classes: Sequence[str],
    frame: tuple[float, float, float, float],
    line: float,
    size: float,
) -> None:
    """Boxes with class and score on such axes.

    Args:
        frame: where the image begins from the left and from above, how large a pixel is, and how wide the image.
        line: width of the lines, in points.
        size: of the letters, likewise.
    """
    left, top, scale, wide = frame
    how = writing(classes)
    scores = objects["scores"].tolist() if "scores" in objects else [None] * len(objects["labels"])
    for box, label, score in zip(objects["boxes"].tolist(), objects["labels"].tolist(), scores, strict=True):
        x1, y1, x2, y2 = (value * scale for value in box)
        colour = COLOURS[label % len(COLOURS)]
        ax.add_patch(Rectangle((left + x1, top + y1), x2 - x1, y2 - y1, fill=False, edgecolor=colour, linewidth=line))
        text = how.written(shorten(classes[label], 16)) + ("" if score is None else f" {score:.2f}")
        if not text:
            continue
        ends = x1 > 0.7 * wide  # a label that began here would leave the image
        ax.text(
            left + min(x2, wide) if ends else left + x1,
            top + y1,
            text,
            ha="right" if ends else "left",
            fontsize=size,
            color=INK,
            va="top",
            fontfamily=how.families,
            bbox={"facecolor": colour, "edgecolor": "none", "pad": 0.8, "alpha": 0.85},
            clip_on=True,
        )
