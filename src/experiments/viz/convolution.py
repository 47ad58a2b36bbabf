"""A convolution, step by step, with its numbers."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from experiments.viz.canvas import BLUE, GREY, INK, PALE, RED, SMALL, TEXT, figure, ground
from experiments.viz.raster import text_width

CELL, GAP = 0.46, 0.62  # inches: height of a cell, and its width where the numbers are short
WINDOW, PADDED = "#fbd9a5", "#ececec"
WIDTH_MOST, HEIGHT_MOST = 19.0, 38.0  # inches
LONGEST = 8  # characters of a number, without its sign


class ConvolutionStep(NamedTuple):
    """One place of the filter.

    Attributes:
        row: of the result.
        column: of the result.
        rows: of the padded image, that the filter's rows lie on.
        columns: likewise.
        value: of the result there.
    """

    row: int
    column: int
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    value: float


def number(value: float) -> str:
    """As short as it is exact, with a proper minus; behind `≈` where that would be too long, and it is rounded."""
    exact = f"{value:.12g}"  # the thirteenth digit of 0.1 + 0.2 is an error
    texts = (f"{value:.{digits}g}" for digits in range(12, 0, -1))
    short = next(text for text in texts if len(text.lstrip("-")) <= LONGEST)
    return f"{'' if short == exact else '≈'}{short}".replace("-", "−")


def sum_of_products(padded: np.ndarray, weights: np.ndarray, bias: float, step: ConvolutionStep) -> str:
    """`1·1 + 0·0 + … = 4`: pixel times weight, row by row."""
    pixels = padded[np.ix_(step.rows, step.columns)]

    def shown(value: float) -> str:
        return f"({number(value)})" if value < 0 else number(value)

    products = " + ".join(f"{shown(p)}·{shown(w)}" for p, w in zip(pixels.flat, weights.flat, strict=True))
    return f"{products}{f' + {shown(bias)}' if bias else ''} = {number(step.value)}".replace("= ≈", "≈ ")


def convolution(
    padded: np.ndarray,
    weights: np.ndarray,
    steps: list[ConvolutionStep],
    *,
    padding: int | tuple[int, int] = 0,
    bias: float = 0.0,
    title: str = "Convolution",
    note: str = "",
    most: int = 12,
) -> Figure:
    """Return a panel a step: the image with the filter on it, its weights in red, and the result so far.

    Args:
        padded: (H, W), with its padding.
        weights: (h, w).
        steps: every place of the filter, in order.
        padding: rows above and below the image, and columns beside it, drawn in grey.
        bias: what the steps' values hold beside the sum; said above.
        most: panels; of more steps, or more than a picture of some height takes, evenly chosen ones with the first and
            the last.
    """
    pads = (padding, padding) if isinstance(padding, int) else padding
    tall, wide = padded.shape
    out_tall, out_wide = steps[-1].row + 1, steps[-1].column + 1
    result = np.array([step.value for step in steps]).reshape(out_tall, out_wide)
    cell = _cell_width([*padded.flat, *weights.flat, *result.flat], weights)
    each = (wide + out_wide) * cell + GAP + 0.55
    high = max(tall, out_tall) * CELL + 0.85
    columns = max(1, min(int(WIDTH_MOST / each), out_wide if out_wide > 1 else 4, most, len(steps)))
    most = min(most, columns * max(2, int(HEIGHT_MOST / high)))
    places = np.unique(np.linspace(0, len(steps) - 1, min(most, len(steps))).astype(int))
    if len(places) < len(steps):
        note = f"{note}, {len(places)} of {len(steps)} steps" if note else f"{len(places)} of {len(steps)} steps"
    head = max(weights.shape[0] * CELL, 0.7) + 1.3  # the words beside the filter have three lines
    words = _words(bias)
    beside = _beside(weights, cell)
    width = max(0.3 + columns * each, 9.5, beside + max(text_width(line, TEXT) for line in words.split("\n")) + 0.3)
    height = head + ceil(len(places) / columns) * high + 0.1
    fig = figure(width, height, title, note)
    ax = ground(fig, width, height)
    _heading(ax, weights, words, cell)
    for place, which in enumerate(places):
        step = steps[which]
        left, top = 0.3 + place % columns * each, head + place // columns * high
        ax.text(left, top + 0.02, f"step {which + 1}", fontsize=TEXT, color=GREY, va="center")
        _image(ax, padded, weights, step, pads, left, top + 0.24, cell)
        middle = top + 0.24 + tall * CELL / 2
        ax.annotate(
            "",
            (left + wide * cell + GAP - 0.12, middle),
            (left + wide * cell + 0.12, middle),
            arrowprops={"arrowstyle": "-|>", "color": GREY, "linewidth": 2, "mutation_scale": 18},
        )
        _result(ax, result, which, left + wide * cell + GAP, middle - out_tall * CELL / 2, cell)
    return fig


def _cell_width(values: list[float], weights: np.ndarray) -> float:
    """Inches that every number fits in, large, and every weight small below it."""
    texts = {number(value) for value in values}
    need = [text_width(text, _size(text), bold=True) for text in texts]
    need += [text_width(f"×{number(weight)}", 10) for weight in weights.flat]
    return max(CELL, max(need) + 0.1)


def _size(text: str) -> float:
    """Points."""
    return 17.0 if len(text) < 3 else 13.0 if len(text) < 5 else SMALL - 1


def _words(bias: float) -> str:
    """Return what is done with the filter, in three lines."""
    return (
        "Lay the filter on the image.\nMultiply each pixel with the weight on it, and add up"
        f"{f', with the bias {number(bias)}' if bias else ''}:\none number of the result. Then move on."
    )


def _beside(weights: np.ndarray, cell: float) -> float:
    """Inches from the left to the words beside the filter."""
    return 0.3 + weights.shape[1] * cell + 0.4


def _heading(ax: Axes, weights: np.ndarray, words: str, cell: float) -> None:
    """The filter, and what is done with it."""
    ax.text(0.3, 0.88, "filter", fontsize=TEXT, color=GREY, va="center")
    for (row, column), weight in np.ndenumerate(weights):
        _cell(ax, 0.3 + column * cell, 1.06 + row * CELL, cell, number(weight), WINDOW, RED, "bold")
    middle = 1.06 + weights.shape[0] * CELL / 2
    ax.text(_beside(weights, cell), middle, words, fontsize=TEXT, color=INK, va="center", linespacing=1.5)


def _image(
    ax: Axes,
    padded: np.ndarray,
    weights: np.ndarray,
    step: ConvolutionStep,
    padding: tuple[int, int],
    left: float,
    top: float,
    cell: float,
) -> None:
    on = {(r, c): weights[i, j] for i, r in enumerate(step.rows) for j, c in enumerate(step.columns)}
    tall, wide = padded.shape
    for (row, column), value in np.ndenumerate(padded):
        inside = padding[0] <= row < tall - padding[0] and padding[1] <= column < wide - padding[1]
        colour = WINDOW if (row, column) in on else "white" if inside else PADDED
        x, y = left + column * cell, top + row * CELL
        ink = INK if inside or (row, column) in on else GREY
        _cell(ax, x, y, cell, number(value), colour, ink, raised=(row, column) in on)
        if (row, column) in on:
            text = f"×{number(on[row, column])}"
            ax.text(x + cell - 0.03, y + CELL - 0.09, text, fontsize=10, color=RED, ha="right", va="center", gid="keep")


def _result(ax: Axes, result: np.ndarray, done: int, left: float, top: float, cell: float) -> None:
    for place, value in enumerate(result.flat):
        row, column = divmod(place, result.shape[1])
        x, y = left + column * cell, top + row * CELL
        if place == done:
            _cell(ax, x, y, cell, number(value), BLUE, "white", "bold")
        else:
            _cell(ax, x, y, cell, number(value) if place < done else "", "white", INK)


def _cell(
    ax: Axes,
    x: float,
    y: float,
    wide: float,
    text: str,
    ground_colour: str,
    colour: str,
    weight: str = "normal",
    *,
    raised: bool = False,
) -> None:
    keep = "keep" if ground_colour in (WINDOW, BLUE) else None  # black on orange, also on a dark page
    ax.add_patch(Rectangle((x, y), wide, CELL, facecolor=ground_colour, edgecolor=PALE, linewidth=1, gid=keep))
    ax.text(
        x + wide / 2,
        y + CELL * (0.42 if raised else 0.53),
        text,
        fontsize=_size(text),
        color=colour,
        weight=weight,
        ha="center",
        va="center",
        gid=keep,
    )
