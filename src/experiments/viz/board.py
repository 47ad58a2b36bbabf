"""A computation as boards of numbers: steps with grids, signs and curves, as text. `board_picture` draws the same."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from experiments.viz.tables import columns


@dataclass(frozen=True)
class Grid:
    """Numbers or words in rows and columns.

    Attributes:
        values: (rows, columns).
        label: above it.
        rows: names of the rows; empty for none.
        columns: names of the columns; empty for none.
        marked: places that stand out, with the number of their colour: 0 orange, 1 blue, and so on.
        shaded: cells are the darker the larger their value.
    """

    values: Sequence[Sequence[float | str] | Sequence[float] | np.ndarray] | np.ndarray
    label: str = ""
    rows: Sequence[str] = ()
    columns: Sequence[str] = ()
    marked: dict[tuple[int, int], int] = field(default_factory=dict)
    shaded: bool = False

    def texts(self) -> list[list[str]]:
        """Return the cells as they are written."""
        return [[cell if isinstance(cell, str) else short(float(cell)) for cell in row] for row in self.values]


@dataclass(frozen=True)
class Sign:
    """What is done between two grids: an arrow, a sign, a few words."""

    text: str


@dataclass(frozen=True)
class Curve:
    """A line, with some points marked, joined where they are a way; in text it has no place."""

    x: np.ndarray
    y: np.ndarray
    label: str = ""
    points: Sequence[tuple[float, float]] = ()
    names: tuple[str, str] = ("", "")
    joined: bool = False


@dataclass(frozen=True)
class Step:
    """One step: its title, what stands side by side, and the sums written out below."""

    title: str
    items: Sequence[Grid | Sign | Curve]
    sums: Sequence[str] = ()


@dataclass(frozen=True)
class Board:
    """All steps of a computation."""

    title: str
    note: str
    steps: Sequence[Step]


def short(value: float) -> str:
    """Four digits that count, with a proper minus."""
    text = f"{value:.4g}" if abs(value) >= 0.001 or value == 0 else f"{value:.1e}"
    return "0" if text in ("-0", "0") else text.replace("-", "−")


def as_text(board: Board, wide: int | None = None) -> str:
    """Return the board for a terminal.

    Args:
        board: what is shown.
        wide: columns of the terminal, within which sums and titles are broken; None breaks nothing.
    """

    def broken(line: str, indent: int) -> list[str]:
        if wide is None or columns(line) + indent <= wide:
            return [" " * indent + line]
        first, *more = textwrap.wrap(line, wide - indent - 2, break_on_hyphens=False)
        return [" " * indent + first, *(" " * (indent + 2) + text for text in more)]

    parts = broken(board.title + (f" ({board.note})" if board.note else ""), 0)
    for number, step in enumerate(board.steps, 1):
        parts += ["", f"{number}. {step.title}", ""]
        parts += [f"   {line}".rstrip() for line in _beside([_block(item) for item in step.items])]
        if step.sums:
            parts += ["", *(part for line in step.sums for part in broken(line, 3))]
    return "\n".join(parts)


def _block(item: Grid | Sign | Curve) -> list[str]:
    """Lines of equal length."""
    if isinstance(item, Curve):
        return []
    if isinstance(item, Sign):
        return [item.text]
    cells = item.texts()
    body = [
        [*([name] if item.rows else []), *row] for name, row in zip(item.rows or [""] * len(cells), cells, strict=True)
    ]
    if item.columns:
        body.insert(0, [*([""] if item.rows else []), *item.columns])
    widths = [max(columns(row[place]) for row in body) for place in range(len(body[0]))]
    lines = [
        "  ".join(
            cell + " " * (width - columns(cell)) if item.rows and place == 0 else " " * (width - columns(cell)) + cell
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in body
    ]
    wide = max([len(item.label), *map(columns, lines)])
    return [line + " " * (wide - columns(line)) for line in [*([item.label] if item.label else []), *lines]]


def _beside(blocks: list[list[str]]) -> list[str]:
    """Blocks side by side; what is a single line stands in the middle."""
    blocks = [block for block in blocks if block]
    tall = max((len(block) for block in blocks), default=0)
    lines = []
    for row in range(tall):
        cells = []
        for block in blocks:
            wide = columns(block[0])
            place = row if len(block) > 1 else row - tall // 2
            cells.append(block[place] if 0 <= place < len(block) else " " * wide)
        lines.append("   ".join(cells))
    return lines
