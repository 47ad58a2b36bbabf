"""The confusion matrix, legible with two classes and with a hundred."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from experiments.viz.canvas import GREY, INK, SMALL, TEXT, figure
from experiments.viz.labels import shorten
from experiments.viz.raster import put, text_width, write

NUMBERS_UP_TO = 20  # classes; above, cells are too small to be read
SHARES_UP_TO = 12


def confusion(counts: object, classes: Sequence[str], *, title: str = "Confusion matrix", worst: int = 12) -> Figure:
    """Rows are the true classes, columns the predicted ones; the shade is the share of the row.

    Up to 20 classes the cells hold their counts, up to 12 also the shares of half a percent and more;
    beside the matrix stand the most frequent confusions. Cells without examples stay empty.

    Args:
        counts: (K, K) integers, tensor or array.
        classes: K names.
        worst: confusions to list.
    """
    table = np.asarray(counts)
    k = len(classes)
    totals = table.sum(axis=1, keepdims=True)
    shares = table / np.maximum(totals, 1)
    overall = np.trace(table) / max(int(table.sum()), 1)

    names = [shorten(c, 14, classes) for c in classes]
    side = 4.2 if k <= 4 else 6.4
    left = 0.95 + 0.09 * max(map(len, names)) if k <= NUMBERS_UP_TO else 1.05
    upright = k > 6 and max(map(len, names)) > 3  # names that stand side by side would touch
    bottom = 0.75 + (0.085 * max(map(len, names)) if upright and k <= NUMBERS_UP_TO else 0.15)
    listed = _worst(table, shares, classes, min(worst, int(side / 0.4))) if k > 2 else []
    counts_wide = max([0.85, *(text_width(amount, SMALL) for amount, _ in listed)])  # of the counts
    beside = 0.65 + counts_wide + 0.092 * max([len(pair) for _, pair in listed], default=0) if listed else 0.35
    width = left + side + max(beside, 3.0 if listed else 0)
    fig = figure(width, side + bottom + 0.75, title, f"{overall:.1%} of {int(table.sum()):,} correct")

    top, cell = 0.75, side / max(k, 1)
    # The square root shows the rare confusions, which are what one looks for, beside a dark diagonal.
    put(fig, colormaps["Blues"](np.sqrt(shares))[..., :3], left, top, side)
    middle = [top + (i + 0.5) * cell for i in range(k)]
    small = SMALL if k > 4 else TEXT
    if k <= NUMBERS_UP_TO:
        for i, name in enumerate(names):
            write(fig, left - 0.1, middle[i], name, size=small, colour=INK, align="right")
            across, below = left + (i + 0.5) * cell, top + side + 0.05
            if upright:
                write(fig, across, below + 0.02, name, size=small, colour=INK, align="right", upright=True)
            else:
                write(fig, across, below + 0.1, name, size=small, colour=INK, align="center")
        _lines(fig, [cell * i for i in range(1, k)], left, bottom, side)
        _numbers(fig, table, shares, left, top, cell)
    else:
        for i in range(0, k, _step(k)):
            write(fig, left - 0.1, middle[i], str(i), size=small, colour=INK, align="right")
            write(fig, left + (i + 0.5) * cell, top + side + 0.18, str(i), size=small, colour=INK, align="center")
    room = max([text_width(name, small) for name in names] if k <= NUMBERS_UP_TO else [0.3], default=0.0)
    below = (room if upright and k <= NUMBERS_UP_TO else 0.15) + 0.35
    write(fig, left + side / 2, top + side + below, "predicted", size=TEXT, colour=GREY, align="center")
    write(
        fig, max(0.15, left - room - 0.3), top + side / 2, "true", size=TEXT, colour=GREY, align="center", upright=True
    )
    if listed:
        _list(fig, listed, left + side + 0.35, top, counts_wide)
    return fig


def _step(k: int) -> int:
    """Between the classes whose number stands at the edge: a round number, so that there are about ten."""
    return next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, k) if k / step <= 12)


def _lines(fig: Figure, places: Sequence[float], left: float, bottom: float, side: float) -> None:
    """White lines between the cells, at so many inches from the matrix's edges."""
    across = [[(left, bottom + place), (left + side, bottom + place)] for place in places]
    down = [[(left + place, bottom), (left + place, bottom + side)] for place in places]
    fig.add_artist(
        LineCollection([*across, *down], colors="white", linewidths=1.5, transform=fig.dpi_scale_trans, zorder=6)
    )


def _numbers(fig: Figure, table: np.ndarray, shares: np.ndarray, left: float, top: float, cell: float) -> None:
    k = len(table)
    large = 20.0 if k == 2 else 15.0 if k <= 4 else (12.0 if k <= SHARES_UP_TO else 9.0)
    for row, column in zip(*np.nonzero(table), strict=True):  # an empty cell stays empty
        share = shares[row, column]
        colour = "#ffffff" if share > 0.25 else INK
        with_share = k <= 4 or (k <= SHARES_UP_TO and share >= 0.005)
        apart = 0.09 if k == 2 else 0.14 if k <= 4 else 0.18
        x, y = left + (column + 0.5) * cell, top + (row + 0.5) * cell
        text = f"{table[row, column]:,}" if k <= 4 else str(table[row, column])
        if text_width(text, large) > 0.92 * cell:
            text = _rounded(int(table[row, column]))
        up = 0.8 * apart * cell if with_share else 0
        write(fig, x, y - up, text, size=large, colour=colour, align="center")
        if with_share:
            text = f"{share:.1%}" if k <= 4 else f"{share:.0%}"
            write(fig, x, y + 1.3 * apart * cell, text, size=large * 0.68, colour=colour, align="center")


def _rounded(count: int) -> str:
    """Return a count in three digits at most, such as 398k or 1.3M, for cells that are narrow."""
    unit, name = next(
        ((unit, name) for unit, name in ((10**9, "G"), (10**6, "M"), (1000, "k")) if count >= 0.9995 * unit), (1, "")
    )
    value = count / unit
    return f"{value:.1f}{name}" if name and value < 9.95 else f"{value:.0f}{name}"


def _worst(table: np.ndarray, shares: np.ndarray, classes: Sequence[str], worst: int) -> list[tuple[str, str]]:
    """Return the most frequent confusions: (count and share of the row, 'true → predicted')."""
    off = table * (1 - np.eye(len(table), dtype=table.dtype))
    order = np.argsort(-off, axis=None, kind="stable")[:worst]
    cells = [divmod(int(i), len(table)) for i in order if off.flat[i] > 0]
    return [
        (
            f"{table[r, c]:,} · {'<1%' if shares[r, c] < 0.005 else f'{shares[r, c]:.0%}'}",
            f"{shorten(classes[r], 14, classes)} → {shorten(classes[c], 14, classes)}",
        )
        for r, c in cells
    ]


def _list(fig: Figure, listed: list[tuple[str, str]], left: float, top: float, room: float) -> None:
    """From `top` inches below the upper edge, with `room` for the counts."""
    write(fig, left, top + 0.12, "most often: true → predicted", size=SMALL, colour=GREY)
    for i, (amount, pair) in enumerate(listed):
        y = top + 0.52 + 0.37 * i
        write(fig, left + room, y, amount, size=SMALL, colour=GREY, align="right")
        write(fig, left + room + 0.15, y, pair, size=SMALL, colour=INK)
