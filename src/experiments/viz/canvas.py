"""What every picture shares: size, type, colours, and the way to a PNG file.

Figures are made directly, never through pyplot, so nothing is global, and they are laid out by hand: the
automatic layouts draw everything twice or more.
"""

from __future__ import annotations

import io

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

DPI = 100

TITLE, TEXT, SMALL = 17.0, 13.0, 11.0  # points; legible on a projector at the sizes used here
INK, GREY, PALE = "#222222", "#6b6b6b", "#dddddd"
BLUE, ORANGE, GREEN, RED = "#0072b2", "#e69f00", "#009e73", "#d55e00"  # Okabe and Ito, colour-blind safe


def figure(width: float, height: float, title: str = "", note: str = "") -> Figure:
    """An empty figure (inches) with its title, and beside the title a note in grey, at the upper left.

    The upper 0.6 inches belong to the title.
    """
    fig = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(fig)
    heading = f"{title}   " if note else title
    text = fig.text(0.2 / width, 1 - 0.36 / height, heading, fontsize=TITLE, color=INK, weight="bold", va="center")
    if note:
        right = text.get_window_extent().x1 / DPI
        fig.text(right / width, 1 - 0.365 / height, note, fontsize=TEXT, color=GREY, va="center")
    return fig


def add_axes(fig: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes at a place given in inches from the lower left corner."""
    w, h = fig.get_size_inches()
    return fig.add_axes((left / w, bottom / h, width / w, height / h))


def quiet(ax: Axes) -> None:
    """Axes that stand back: no frame above and to the right, a faint grid, small grey numbers."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(PALE)
    ax.grid(color=PALE, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.tick_params(labelsize=SMALL, length=0, colors=GREY)


def shorten(name: str, length: int) -> str:
    """A name that fits: cut with an ellipsis."""
    return name if len(name) <= length else name[: length - 1].rstrip() + "…"


def png(fig: Figure) -> bytes:
    """The figure as a PNG file, drawn once."""
    from PIL import Image

    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    picture = Image.frombuffer("RGBA", canvas.get_width_height(), canvas.buffer_rgba()).convert("RGB")
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=3)
    return out.getvalue()
