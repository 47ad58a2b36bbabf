"""Boards of numbers as a picture, on the ground that all pictures share."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from experiments.viz.board import Board, Curve, Grid, Sign, Step
from experiments.viz.canvas import BLUE, GREY, INK, PALE, SMALL, TEXT, add_axes, figure, ground, quiet
from experiments.viz.fonts import FontWriting, writing
from experiments.viz.raster import text_width

CELL = 0.46  # inches: height of a cell
MARKS = ("#fbd9a5", "#bfe0f5", "#c2ead9", "#f6cdb8", "#e3d3ee", "#f3eeb0")  # light shades of the colours used elsewhere
GAP, LINE, MARGIN = 0.3, 0.3, 0.35
CURVE = (4.2, 2.6)  # inches


def board_picture(board: Board) -> Figure:
    """Return all steps below each other."""
    sizes = [_size(step) for step in board.steps]
    titles = [text_width(_title(step, number), TEXT, bold=True) for number, step in enumerate(board.steps, 1)]
    longest = max([*titles, *(text_width(line, TEXT) for step in board.steps for line in step.sums)])
    width = max(2 * MARGIN + max(wide for wide, _ in sizes), 2 * MARGIN + longest + 0.3, 7.0)
    how = writing(_all_texts(board))
    top = 1.1 if how.note else 0.8
    fig = figure(width, top + sum(tall for _, tall in sizes), board.title, board.note, how.note)
    width, height = fig.get_size_inches()
    ax = ground(fig, width, height)
    for number, (step, (_, tall)) in enumerate(zip(board.steps, sizes, strict=True), 1):
        _step(fig, ax, step, number, top, how)
        top += tall
    return fig


def _title(step: Step, number: int) -> str:
    return f"{number}. {step.title}"


def _all_texts(board: Board) -> list[str]:
    grids = [item for step in board.steps for item in step.items if isinstance(item, Grid)]
    texts = [text for grid in grids for text in [grid.label, *grid.rows, *grid.columns]]
    cells = [text for grid in grids for row in grid.texts() for text in row]
    return [*texts, *cells, *(line for step in board.steps for line in [step.title, *step.sums])]


def _size(step: Step) -> tuple[float, float]:
    """Width and height of a step, in inches."""
    sizes = [_item_size(item) for item in step.items]
    wide = sum(width for width, _ in sizes) + GAP * max(0, len(sizes) - 1)
    return wide, 0.5 + max((tall for _, tall in sizes), default=0) + LINE * len(step.sums) + 0.35


def _item_size(item: Grid | Sign | Curve) -> tuple[float, float]:
    if isinstance(item, Curve):
        return CURVE
    if isinstance(item, Sign):
        return text_width(item.text, TEXT), CELL
    names, cell = _columns(item)
    rows = len(item.values) + bool(item.columns)
    return max(names + cell * len(item.values[0]), text_width(item.label, TEXT)), rows * CELL + (
        0.34 if item.label else 0
    )


def _columns(grid: Grid) -> tuple[float, float]:
    """Inches of the rows' names, and of a cell."""
    texts = [text for row in grid.texts() for text in row]
    cell = max([CELL, *(text_width(text, TEXT) + 0.16 for text in [*texts, *grid.columns])])
    return max((text_width(name, TEXT) + 0.14 for name in grid.rows), default=0.0), cell


def _step(fig: Figure, ax: Axes, step: Step, number: int, top: float, how: FontWriting) -> None:
    script = how.families
    ax.text(MARGIN, top + 0.12, _title(step, number), fontsize=TEXT, color=INK, va="center", weight="bold")
    tallest = max((_item_size(item)[1] for item in step.items), default=0.0)
    left, middle = MARGIN, top + 0.42 + tallest / 2
    labels = 0.17 if any(isinstance(item, Grid) and item.label for item in step.items) else 0.0
    for item in step.items:
        wide, tall = _item_size(item)
        if isinstance(item, Sign):
            ax.text(left + wide / 2, middle + labels, item.text, fontsize=TEXT, color=GREY, ha="center", va="center")
        elif isinstance(item, Curve):
            _curve(fig, item, left, middle - tall / 2)
        else:
            _grid(ax, item, left, middle - tall / 2, how)
        left += wide + GAP
    for line, text in enumerate(step.sums):
        y = top + 0.42 + tallest + LINE * (line + 0.7)
        ax.text(MARGIN, y, how.written(text), fontsize=TEXT, color=GREY, va="center", fontfamily=script)


def _grid(ax: Axes, grid: Grid, left: float, top: float, how: FontWriting) -> None:
    names, cell = _columns(grid)
    if grid.label:
        ax.text(left, top + 0.14, grid.label, fontsize=TEXT, color=GREY, va="center")
        top += 0.34
    if grid.columns:
        for place, name in enumerate(grid.columns):
            x = left + names + (place + 0.5) * cell
            ax.text(
                x,
                top + CELL * 0.6,
                how.written(name),
                fontsize=SMALL,
                color=GREY,
                ha="center",
                va="center",
                fontfamily=how.families,
            )
        top += CELL
    shades = _shades(grid)
    for row, texts in enumerate(grid.texts()):
        y = top + row * CELL
        if grid.rows:
            ax.text(
                left + names - 0.1,
                y + CELL / 2,
                how.written(grid.rows[row]),
                fontsize=TEXT,
                color=GREY,
                ha="right",
                va="center",
                fontfamily=how.families,
            )
        for column, text in enumerate(texts):
            spot = (row, column)
            ground_colour, ink = shades.get(spot, ("white", INK))
            if spot in grid.marked:
                ground_colour, ink = MARKS[grid.marked[spot] % len(MARKS)], "#1f2328"
            keep = "keep" if ground_colour != "white" else None  # black on colour, also on a dark page
            x = left + names + column * cell
            ax.add_patch(Rectangle((x, y), cell, CELL, facecolor=ground_colour, edgecolor=PALE, linewidth=1, gid=keep))
            ax.text(x + cell / 2, y + CELL * 0.53, text, fontsize=TEXT, color=ink, ha="center", va="center", gid=keep)


def _shades(grid: Grid) -> dict[tuple[int, int], tuple[str, str]]:
    """Ground and ink of each cell of a shaded grid."""
    if not grid.shaded:
        return {}
    from matplotlib import colormaps

    values = np.array(grid.values, dtype=float)
    finite = values[np.isfinite(values)]
    low, high = min(0.0, float(finite.min())), float(finite.max())
    share = np.clip((np.nan_to_num(values, neginf=low) - low) / (high - low or 1.0), 0, 1)
    return {
        (int(row), int(column)): (to_hex(colormaps["Blues"](0.05 + 0.8 * part)), "white" if part > 0.6 else "#1f2328")
        for (row, column), part in np.ndenumerate(share)
    }


def _curve(fig: Figure, curve: Curve, left: float, top: float) -> None:
    height = fig.get_size_inches()[1]
    ax = add_axes(fig, left + 0.6, height - top - CURVE[1] + 0.5, CURVE[0] - 0.75, CURVE[1] - 0.85)
    quiet(ax)
    ax.plot(curve.x, curve.y, color=BLUE, linewidth=2)
    if curve.points:
        x, y = zip(*curve.points, strict=True)
        ax.plot(x, y, "o-" if curve.joined else "o", color="#d55e00", linewidth=1, markersize=7)
    ax.set_title(curve.label, fontsize=TEXT, color=GREY, loc="left")
    ax.set_xlabel(curve.names[0], fontsize=SMALL, color=GREY)
    ax.set_ylabel(curve.names[1], fontsize=SMALL, color=GREY)
