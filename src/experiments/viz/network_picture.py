"""A network as a picture: a panel a stage, its layers as boxes, branches, sums and shortcuts as they run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.path import Path

from experiments.viz.canvas import BLUE, DPI, GREEN, GREY, INK, ORANGE, PALE, SMALL, TEXT, TITLE, ground
from experiments.viz.network_layout import Layout, Size, arranged
from experiments.viz.raster import text_width
from experiments.viz.recurrent_cell import CELL_SIZE, recurrent_cell

LEARNS, FROZEN, PLAIN = "#fbe3b8", "#cfe3f2", "#eef1f4"  # grounds of boxes
PAD, HEAD, ROW_GAP, MARGIN = 0.28, 1.12, 0.5, 0.35  # inches
WIDE = 17.0  # inches of a row of panels
BEND = 0.17  # inches above a box, where ways turn
LANE = 0.09  # inches between shortcuts side by side
Lane = tuple[float, float, float]  # where a shortcut runs: x, and its ends
LEVEL = 0.75  # inches a panel stands lower for each halving, where others jump over it


@dataclass(frozen=True)
class Item:
    """A box: `kind` is layer, operator, rnn, lstm or gru; `state` is learns, frozen or empty."""

    lines: Sequence[str]
    kind: str
    state: str
    sources: frozenset[int]


@dataclass(frozen=True)
class Stage:
    """A panel: three lines above it, its boxes, and blocks that repeat.

    Attributes:
        lines: name, what comes out, parameters.
        state: of all of it: learns, frozen or empty.
        side: pixels of what comes out, for networks that shrink and grow; 0 where that says nothing.
    """

    lines: tuple[str, str, str]
    state: str
    boxes: Sequence[int]
    frames: Sequence[tuple[Sequence[int], int]] = ()
    side: int = 0


def network_picture(title: str, note: str, stages: Sequence[Stage], items: dict[int, Item]) -> Figure:
    """Draws all stages, from left to right in as many rows as it takes."""
    sizes = {number: _size(item) for number, item in items.items()}
    inner = [
        arranged(
            stage.boxes,
            {(a, b) for b in stage.boxes for a in items[b].sources if a in stage.boxes and a < b},
            sizes,
        )
        for stage in stages
    ]
    panels = [_panel_size(stage, one, items) for stage, one in zip(stages, inner, strict=True)]
    spots, width, height = _placed(stages, panels, _jumps(stages, items))
    states = [item.state for item in items.values()]
    legend = [(LEARNS, "learns"), (FROZEN, "frozen")] if "frozen" in states else []
    heading = max(text_width(title, TITLE, bold=True) + 0.3 + text_width(note, TEXT), 6.0) + MARGIN * 2
    width, height = max(width, heading), height + (0.4 if legend else 0.1)
    fig = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(fig)
    ax = ground(fig, width, height)
    ax.text(MARGIN, 0.4, title, fontsize=TITLE, color=INK, weight="bold", va="center")
    ax.text(MARGIN + text_width(title, TITLE, bold=True) + 0.25, 0.41, note, fontsize=TEXT, color=GREY, va="center")
    for place, (colour, word) in enumerate(legend):
        _rounded(ax, MARGIN + 1.6 * place, height - 0.42, 0.3, 0.22, colour, PALE)
        ax.text(MARGIN + 1.6 * place + 0.42, height - 0.3, word, fontsize=TEXT, color=INK, va="center")
    middles: dict[int, tuple[float, float]] = {}
    for stage, one, size, (left, top) in zip(stages, inner, panels, spots, strict=True):
        _panel(ax, stage, size, left, top)
        shift = (size[0] - one.width) / 2
        for number, (x, y) in one.places.items():
            middles[number] = (left + shift + x, top + HEAD + y)
        for numbers, times in stage.frames:
            _frame(ax, [(middles[n], sizes[n]) for n in numbers], times)
        _edges(ax, stage, items, sizes, middles)
    for number, (x, y) in middles.items():
        _box(ax, items[number], x, y, sizes[number])
    _between(ax, stages, items, sizes, middles, panels, spots)
    return fig


def _size(item: Item) -> Size:
    if item.kind in ("rnn", "lstm", "gru"):
        return CELL_SIZE
    if item.kind == "operator" and len(item.lines) == 1 and len(item.lines[0]) <= 1:
        return 0.42, 0.42
    wide = max(text_width(line, TEXT if not place else SMALL) for place, line in enumerate(item.lines))
    return wide + 0.3, 0.14 + 0.25 * len(item.lines)


def _panel_size(stage: Stage, inner: Layout, items: dict[int, Item]) -> Size:
    words = max(text_width(line, TEXT, bold=not place) for place, line in enumerate(stage.lines))
    jumps = any(items[b].lines[0] == "+" for b in stage.boxes)
    return max(
        inner.width + (0.75 if jumps else 0) + (0.9 if stage.frames else 0), words
    ) + 2 * PAD, inner.height + HEAD + PAD


def _jumps(stages: Sequence[Stage], items: dict[int, Item]) -> list[tuple[int, int]]:
    """Pairs of boxes whose stages do not follow each other."""
    where = {number: place for place, stage in enumerate(stages) for number in stage.boxes}
    return [(a, b) for b, item in items.items() for a in item.sources if a in where and where[b] - where[a] > 1]


def _placed(
    stages: Sequence[Stage], panels: Sequence[Size], jumps: Sequence[tuple[int, int]]
) -> tuple[list[tuple[float, float]], float, float]:
    """Return the upper left corner of each panel, and the size of the picture."""
    top, spots = 0.85, []
    shrinks = len({stage.side for stage in stages}) > 2 and bool(jumps)
    if jumps:  # one row, so that nothing crosses; lower where the maps are smaller
        largest = max(stage.side for stage in stages)
        left, lowest = MARGIN, 0.0
        for stage, (wide, tall) in zip(stages, panels, strict=True):
            level = (largest // stage.side).bit_length() - 1 if shrinks and stage.side else 0
            spots.append((left, top + 0.3 + level * LEVEL))
            lowest = max(lowest, top + 0.3 + level * LEVEL + tall)
            left += wide + 0.45
        return spots, left - 0.45 + MARGIN, lowest + MARGIN
    left, deepest, widest = MARGIN, 0.0, 0.0
    for wide, tall in panels:
        if left > MARGIN and left + wide > WIDE:
            left, top, deepest = MARGIN, top + deepest + ROW_GAP, 0.0
        spots.append((left, top))
        left, deepest = left + wide + 0.45, max(deepest, tall)
        widest = max(widest, left - 0.45)
    return spots, widest + MARGIN, top + deepest + MARGIN


def _panel(ax: Axes, stage: Stage, size: Size, left: float, top: float) -> None:
    edge = {"learns": ORANGE, "frozen": BLUE}.get(stage.state, PALE)
    _rounded(ax, left, top, *size, "white", edge, width=2 if stage.state else 1.2)
    for place, line in enumerate(stage.lines):
        weight = "normal" if place else "bold"
        ax.text(
            left + PAD * 0.7,
            top + 0.22 + 0.26 * place,
            line,
            fontsize=TEXT,
            color=GREY if place else INK,
            weight=weight,
            va="center",
        )


def _box(ax: Axes, item: Item, x: float, y: float, size: Size) -> None:
    wide, tall = size
    colour = {"learns": LEARNS, "frozen": FROZEN}.get(item.state, PLAIN)
    if item.kind in ("rnn", "lstm", "gru"):
        recurrent_cell(ax, item.kind, x - wide / 2, y, item.lines, colour)
        return
    _rounded(
        ax,
        x - wide / 2,
        y,
        wide,
        tall,
        "white" if item.kind == "operator" else colour,
        GREY if item.kind == "operator" else PALE,
        round_by=0.2 if item.kind == "operator" else 0.07,
    )
    keep = None if item.kind == "operator" else "keep"
    for place, line in enumerate(item.lines):
        lower = tall / 2 + (place - (len(item.lines) - 1) / 2) * 0.235
        ink = (INK if not place else GREY) if keep is None else ("#1f2328" if not place else "#57606a")
        ax.text(
            x,
            y + lower,
            line,
            fontsize=TEXT if not place else SMALL,
            color=ink,
            ha="center",
            va="center",
            gid=keep,
            zorder=5,
        )


def _frame(ax: Axes, boxes: Sequence[tuple[tuple[float, float], Size]], times: int) -> None:
    """A dashed line around a block that repeats."""
    left = min(x - wide / 2 for (x, _), (wide, _) in boxes) - 0.12
    right = max(x + wide / 2 for (x, _), (wide, _) in boxes) + 0.42
    top, bottom = min(y for (_, y), _ in boxes) - 0.15, max(y + tall for (_, y), (_, tall) in boxes) + 0.1
    _rounded(ax, left, top, right - left, bottom - top, "none", GREY, dashed=True)
    ax.text(right + 0.06, (top + bottom) / 2, f"× {times}", fontsize=TEXT, color=INK, weight="bold", va="center")


def _edges(
    ax: Axes, stage: Stage, items: dict[int, Item], sizes: dict[int, Size], middles: dict[int, tuple[float, float]]
) -> None:
    """Arrows inside a panel: straight where nothing stands between, else around the right side."""
    lanes: list[Lane] = []
    for number in stage.boxes:
        for source in sorted(items[number].sources):
            if source not in stage.boxes or source >= number:
                continue
            (x0, y0), (x1, y1) = middles[source], middles[number]
            y0 += sizes[source][1]
            others = [(middles[n], sizes[n]) for n in stage.boxes if n not in (source, number)]
            ways = [
                [(x0, y0), (x1, y1)],
                [(x0, y0), (x0, y1 - BEND), (x1, y1 - BEND), (x1, y1)],
                [(x0, y0), (x0, y0 + BEND), (x1, y0 + BEND), (x1, y1)],
            ]
            free = [way for way in ways if not _hits(way, others)]
            if free:
                _arrow(ax, free[0])
            else:
                start = (x0 + sizes[source][0] / 2, y0 - sizes[source][1] / 2)
                _around(ax, start, stage, number, sizes, middles, lanes)
        first = stage.boxes[0] if stage.boxes else number
        outside = {source for source in items[number].sources if source not in stage.boxes}
        if outside and number != first and items[number].kind == "operator" and items[number].lines[0] == "+":
            x, y = middles[first]  # a shortcut from what comes into the stage
            _around(ax, (x, y - 0.08), stage, number, sizes, middles, lanes)


def _around(
    ax: Axes, start: tuple[float, float], stage: Stage, number: int, sizes: dict[int, Size],
    middles: dict[int, tuple[float, float]], lanes: list[Lane],
) -> None:  # fmt: skip
    """A shortcut: past the right side of all that stands between, and beside those that run there already."""
    x1, y1 = middles[number]
    end = (x1 + sizes[number][0] / 2, y1 + sizes[number][1] / 2)
    between = [n for n in stage.boxes if start[1] - 0.05 < middles[n][1] + sizes[n][1] and middles[n][1] < end[1]]
    out = max([start[0] + 0.15, end[0] + 0.15, *(middles[n][0] + sizes[n][0] / 2 + 0.17 for n in between)])
    free = (out + step * LANE for step in range(3))
    out = next((one for one in free if not any(_shares(one, start[1], end[1], lane) for lane in lanes)), out)
    lanes.append((out, start[1], end[1]))
    _arrow(ax, [start, (out, start[1]), (out, end[1]), end], colour=GREEN)


def _shares(out: float, top: float, bottom: float, lane: Lane) -> bool:
    """Tell whether a shortcut would run on another one for more than a point."""
    return abs(out - lane[0]) < LANE / 2 and min(bottom, lane[2]) - max(top, lane[1]) > 0.02


def _hits(way: Sequence[tuple[float, float]], boxes: Sequence[tuple[tuple[float, float], Size]]) -> bool:
    """Tell whether a box stands on a way."""
    return any(_on_line(middle, size, a, b) for a, b in pairwise(way) for middle, size in boxes)


def _on_line(middle: tuple[float, float], size: Size, start: tuple[float, float], end: tuple[float, float]) -> bool:
    """Tell whether a box stands on the straight way."""
    for step in range(41):
        x = start[0] + (end[0] - start[0]) * step / 40
        y = start[1] + (end[1] - start[1]) * step / 40
        if abs(x - middle[0]) < size[0] / 2 and middle[1] < y < middle[1] + size[1]:
            return True
    return False


def _between(
    ax: Axes, stages: Sequence[Stage], items: dict[int, Item], sizes: dict[int, Size], middles: dict[int, tuple[float, float]],
    panels: Sequence[Size], spots: Sequence[tuple[float, float]],
) -> None:  # fmt: skip
    """Arrows from panel to panel, and above them where stages lie between."""
    where = {number: place for place, stage in enumerate(stages) for number in stage.boxes}
    done: set[tuple[int, int]] = set()
    for number, item in items.items():
        for source in sorted(item.sources):
            pair = (where.get(source, -1), where[number])
            if pair[0] < 0 or pair[0] >= pair[1] or pair in done:
                continue
            done.add(pair)
            (left, top), (wide, _) = spots[pair[0]], panels[pair[0]]
            to = spots[pair[1]]
            if pair[1] - pair[0] > 1:  # along the heads, which lower panels leave free; else above all
                free = all(spots[p][1] > max(top, to[1]) + 0.3 for p in range(pair[0] + 1, pair[1]))
                if free and abs(top - to[1]) < 0.1:
                    y = top + 0.22
                    _arrow(ax, [(left + wide, y), (to[0], y)], colour=GREEN)
                else:
                    above = min(spots[p][1] for p in range(pair[0], pair[1] + 1)) - 0.08 - 0.07 * (pair[1] - pair[0])
                    start, end = (left + wide / 2, top), (to[0] + panels[pair[1]][0] / 2, to[1])
                    _arrow(ax, [start, (start[0], above), (end[0], above), end], colour=GREEN)
            elif to[0] > left:
                y = max(top, to[1]) + HEAD / 2
                _arrow(ax, [(left + wide, y), (to[0], y)])
            else:  # the next row
                bottom = to[1] - ROW_GAP / 2
                _arrow(
                    ax,
                    [
                        (left + wide / 2, top + panels[pair[0]][1]),
                        (left + wide / 2, bottom),
                        (to[0] + 0.6, bottom),
                        (to[0] + 0.6, to[1]),
                    ],
                )


def _arrow(ax: Axes, points: Sequence[tuple[float, float]], colour: str = GREY) -> None:
    if len(points) > 2:
        path = Path(list(points[:-1]), [Path.MOVETO] + [Path.LINETO] * (len(points) - 2))
        ax.add_patch(PathPatch(path, facecolor="none", edgecolor=colour, linewidth=1.5, joinstyle="round", zorder=2))
    ax.annotate(
        "", points[-1], points[-2], zorder=2,
        arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 1.5, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 13},
    )  # fmt: skip


def _rounded(
    ax: Axes, left: float, top: float, wide: float, tall: float, colour: str, edge: str, width: float = 1.2,
    round_by: float = 0.07, dashed: bool = False,
) -> None:  # fmt: skip
    keep = "keep" if colour not in ("white", "none") else None
    ax.add_patch(
        FancyBboxPatch(
            (left + round_by, top + round_by), wide - 2 * round_by, tall - 2 * round_by,
            boxstyle=f"round,pad={round_by}", facecolor=colour, edgecolor=edge, linewidth=width,
            linestyle="--" if dashed else "-", gid=keep, zorder=3 if keep else 1,
        )
    )  # fmt: skip
