"""What every picture shares: size, type, colours, and the way to a PNG file.

Figures are made directly, never through pyplot, so nothing is global, and they are laid out by hand: the
automatic layouts draw everything twice or more.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import Collection
from matplotlib.colors import LinearSegmentedColormap, to_rgba, to_rgba_array
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text

from experiments.speedups.png import as_png
from experiments.viz.fonts import give_letters
from experiments.viz.raster import TextArtist, text_width, write

DPI = 100

TITLE, TEXT, SMALL = 17.0, 13.0, 11.0  # points; legible on a projector at the sizes used here
INK, GREY, PALE = "#222222", "#6b6b6b", "#dddddd"
BLUE, ORANGE, GREEN, RED = "#0072b2", "#e69f00", "#009e73", "#d55e00"  # Okabe and Ito, colour-blind safe


def figure(width: float, height: float, title: str = "", note: str = "", below: str = "") -> Figure:
    """Return an empty figure (inches) with its title, and beside the title a note in grey, at the upper left.

    The upper 0.6 inches belong to the title, and 0.2 more to a second note `below` it. What is written there widens the
    figure where it needs to.
    """
    right = 0.2 + (text_width(title, TITLE, bold=True) + 0.2 if title else 0)
    width = max(width, right + text_width(note, TEXT) + 0.2 if note else right, 0.4 + text_width(below, TEXT))
    fig = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(fig)
    if title:
        write(fig, 0.2, 0.36, title, size=TITLE, colour=INK, bold=True)
    if note:
        write(fig, right, 0.365, note, size=TEXT, colour=GREY)
    if below:
        write(fig, 0.2, 0.68, below, size=TEXT, colour=GREY)
    return fig


def add_axes(fig: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes at a place given in inches from the lower left corner."""
    w, h = fig.get_size_inches()
    return fig.add_axes((left / w, bottom / h, width / w, height / h))


def ground(fig: Figure, width: float, height: float) -> Axes:
    """Return one pair of axes measured in inches from the upper left: an axes each would take ten times as long to
    draw.
    """
    ax = add_axes(fig, 0, 0, width, height)
    ax.set_axis_off()
    ax.set_autoscale_on(False)
    ax.set_xlim(0, width)
    ax.set_ylim(height, 0)
    return ax


def tile(
    ax: Axes,
    pixels: np.ndarray,
    left: float,
    top: float,
    side: float,
    colours: str,
    limits: tuple[float, float] | None,
) -> None:
    """One image on such axes, its longer side so many inches; `limits` are the values of the colours' ends, or None
    for its own least and most."""
    tall, wide = pixels.shape[:2]
    scale = side / max(tall, wide)
    low, high = limits or (float(pixels.min()), float(pixels.max()))
    ax.imshow(
        pixels,
        cmap=colours,
        vmin=low,
        vmax=high if high > low else low + 1,
        extent=(left, left + wide * scale, top + tall * scale, top),
        aspect="auto",
        interpolation="antialiased" if max(tall, wide) > side * DPI else "nearest",
    )


def above_rounding(values: Sequence[float]) -> list[float]:
    """Values for a logarithmic axis; below 1e-12 lies nothing but rounding."""
    return [max(value, 1e-12) for value in values]


def quiet(ax: Axes) -> None:
    """Axes that stand back: no frame above and to the right, a faint grid, small grey numbers."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(PALE)
    ax.grid(color=PALE, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.tick_params(labelsize=SMALL, length=0, colors=GREY)


def png(fig: Figure, dpi: int = DPI) -> bytes:
    """Return the figure as a PNG file, drawn once, with so many dots an inch."""
    return as_png(_drawn(fig, dpi))


def webp(fig: Figure, dpi: int = DPI) -> bytes:
    """Return the figure as a WebP file, a fraction of a PNG's size where there are photographs."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(_drawn(fig, dpi)).save(out, "WEBP", quality=90, method=2)
    return out.getvalue()


def _drawn(fig: Figure, dpi: int) -> np.ndarray:
    """(height, width, 3) bytes."""
    fig.set_dpi(dpi)
    give_letters(fig)
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    fig.set_dpi(DPI)
    return np.asarray(canvas.buffer_rgba())[..., :3]


def recolour(fig: Figure, colours: Mapping[str, str]) -> None:
    """Takes the colours of text, lines, frames and ground to others, as a dark page needs them; images stay.

    Only shades of the blue that runs from white through `Blues` begin at the new ground instead of white. An artist
    whose gid is `keep` is left alone.

    Args:
        fig: changed in place.
        colours: new ones for `white` (the ground), INK, GREY and PALE; what is not named stays.
    """
    new = {to_rgba(old): colour for old, colour in colours.items()}

    def change(read: Callable[[], Any], write: Callable[[Any], Any]) -> None:
        old = read()
        if isinstance(old, str) and old in ("none", "face"):
            return
        several = np.atleast_2d(to_rgba_array(old)) if not isinstance(old, str) else to_rgba_array(old)
        if len(several) == 1 and tuple(several[0]) in new:
            write(new[tuple(several[0])])

    for artist in fig.findobj(include_self=True):
        if artist.get_gid() == "keep":
            continue
        if isinstance(artist, TextArtist):
            for item in artist.items:
                item.colour = new.get(to_rgba(item.colour), item.colour)
        elif isinstance(artist, Text):
            change(artist.get_color, artist.set_color)
            if (ground_below := artist.get_bbox_patch()) is not None:
                change(ground_below.get_facecolor, ground_below.set_facecolor)
        elif isinstance(artist, Line2D):
            change(artist.get_color, artist.set_color)
            change(artist.get_markeredgecolor, artist.set_markeredgecolor)
        elif isinstance(artist, (Patch, Collection)):
            change(artist.get_facecolor, artist.set_facecolor)
            change(artist.get_edgecolor, artist.set_edgecolor)
        elif isinstance(artist, AxesImage) and artist.get_cmap().name == "Blues" and "white" in colours:
            artist.set_cmap(LinearSegmentedColormap.from_list("Blues", [colours["white"], BLUE, "#9bd5ff"]))
