"""The arrows in a picture of a network: inside a panel, around what stands between, and from panel to panel."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from experiments.viz.canvas import GREEN, GREY, SMALL
from experiments.viz.network_layout import Size
from experiments.viz.network_panels import ARROW, HEAD, ROW_GAP, Item, Placed, Stage, beside_width
from experiments.viz.raster import text_width

BEND = 0.17  # inches above a box, where ways turn
LANE = 0.09  # inches between shortcuts side by side
Lane = tuple[float, float, float]  # where a shortcut runs: x, and its ends
Point = tuple[float, float]


class StageWays:
    """The arrows of one panel: straight where nothing stands between, else around the right side.

    Args:
        ax: in inches from the upper left.
        stage: whose arrows they are.
        items: all boxes by number.
        sizes: of them.
        middles: of each box, its middle from left to right, and its top.
        columns: the boxes of each column, with its left end.
        top: where the boxes of a column begin.
        beside: names of other stages that boxes read.
    """

    def __init__(
        self, ax: Axes, stage: Stage, items: Mapping[int, Item], sizes: Mapping[int, Size], middles: Mapping[int, Point],
        columns: Sequence[tuple[frozenset[int], float]], top: float, beside: Mapping[int, str],
    ) -> None:  # fmt: skip
        self._ax, self._stage, self._items, self._sizes, self._middles = ax, stage, items, sizes, middles
        self._columns, self._top, self._beside = columns, top, beside
        self._lanes: list[Lane] = []

    def draw(self) -> None:
        """Draws all arrows, those from other stages with their names."""
        boxes = self._stage.boxes
        shortcut = False
        for number in boxes:
            for source in sorted(self._items[number].sources):
                if source in boxes and source < number:
                    self._between(source, number)
            if self._outside(number) and number != boxes[0] and self._items[number].lines[0] == "+":
                same = [n for n in self._entered() if self._outside(n) == self._outside(boxes[0])]
                x, y = max(self._middles[n] for n in same or boxes[:1])  # a shortcut from what comes into the stage
                if self._column(boxes[0]) == self._column(number):
                    self._around((x, y - 0.08), number)
                    shortcut = True
        self._enter(shortcut)

        for number in self._stage.boxes:
            if number in self._beside:
                (x, y), (wide, tall) = self._middles[number], self._sizes[number]
                end = x - wide / 2
                middle = y + tall / 2
                _arrow(self._ax, [(end - ARROW, middle), (end, middle)], colour=GREEN)
                self._ax.text(
                    end - ARROW - 0.04, middle, self._beside[number], fontsize=SMALL, color=GREEN, ha="right", va="center",
                    zorder=4, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
                )  # fmt: skip

    def _outside(self, number: int) -> frozenset[int]:
        return frozenset(source for source in self._items[number].sources if source not in self._stage.boxes)

    def _entered(self) -> list[int]:
        """Return the boxes of the first column that read what comes into the stage, but sums."""
        column, _ = self._columns[0]
        return [
            number
            for number in self._stage.boxes
            if number in column
            and self._outside(number)
            and number not in self._beside
            and (number == min(column) or self._items[number].lines[0] != "+")
        ]

    def _enter(self, shortcut: bool) -> None:
        """Arrows into the boxes that read what comes into the stage, where it divides: on branches, or on a shortcut."""
        column, first = self._columns[0][0], self._entered()
        for number in self._stage.boxes:
            if (
                number not in column
                and number not in self._beside
                and self._outside(number) == self._items[number].sources
            ):
                x, y = self._middles[number]
                _arrow(self._ax, [(x, y - 0.25), (x, y)])
        if not first or (len(first) < 2 and not shortcut):
            return
        together = len({self._outside(number) for number in first}) == 1
        level = self._top - BEND
        middle = (
            min(self._middles[number][0] for number in first) + max(self._middles[number][0] for number in first)
        ) / 2
        for number in first:
            x, y = self._middles[number]
            above = middle if together else x
            way = [(above, level - 0.09), (above, level), (x, level), (x, y)]
            others = [(self._middles[n], self._sizes[n]) for n in column if n != number]
            if not _hits(way, others):
                _arrow(self._ax, way)

    def _column(self, number: int) -> tuple[frozenset[int], float]:
        return next(column for column in self._columns if number in column[0])

    def _between(self, source: int, number: int) -> None:
        (x0, y0), (x1, y1) = self._middles[source], self._middles[number]
        y0 += self._sizes[source][1]
        boxes, left = self._column(number)
        others = [(self._middles[n], self._sizes[n]) for n in boxes if n not in (source, number)] + self._names(boxes)
        if source not in boxes:
            enters, rises = self._top - 0.2, left - 0.2 - beside_width(boxes, self._beside)
            ways = [[(x0, y0), (x0, y0 + BEND), (rises, y0 + BEND), (rises, enters), (x1, enters), (x1, y1)]]
            free = [way for way in ways if not _hits(way[-2:], others)]
            first = min(boxes)
            start = (self._middles[first][0], self._middles[first][1] - 0.08)
        else:
            ways = [
                [(x0, y0), (x1, y1)],
                [(x0, y0), (x0, y1 - BEND), (x1, y1 - BEND), (x1, y1)],
                [(x0, y0), (x0, y0 + BEND), (x1, y0 + BEND), (x1, y1)],
            ]
            free = [way for way in ways if not _hits(way, others)]
            start = (x0 + self._sizes[source][0] / 2, y0 - self._sizes[source][1] / 2)
            if any(abs(lane[2] - start[1]) < LANE for lane in self._lanes):  # one ends there: begin below the box
                start = (x0, y0 + 0.09)
        if free:
            _arrow(self._ax, free[0])
        else:
            self._around(start, number, self._items[number].words.get(source, ""))

    def _names(self, boxes: Collection[int]) -> list[tuple[Point, Size]]:
        """Return where the names of other stages stand with their arrows, as boxes."""
        places = []
        for number in boxes:
            if number in self._beside:
                (x, y), (wide, tall) = self._middles[number], self._sizes[number]
                taken = text_width(self._beside[number], SMALL) + ARROW + 0.04
                places.append(((x - wide / 2 - taken / 2, y + tall / 2 - 0.1), (taken, 0.2)))
        return places

    def _around(self, start: Point, number: int, words: str = "") -> None:
        """A shortcut: past the right side of all that stands between, and beside those that run there already; `words` along
        it say what it carries.
        """
        middles, sizes = self._middles, self._sizes
        x1, y1 = middles[number]
        end = (x1 + sizes[number][0] / 2, y1 + sizes[number][1] / 2)
        column = self._column(number)[0]
        between = [n for n in column if start[1] - 0.05 < middles[n][1] + sizes[n][1] and middles[n][1] < end[1]]
        out = max([start[0] + 0.15, end[0] + 0.15, *(middles[n][0] + sizes[n][0] / 2 + 0.17 for n in between)])
        free = (out + step * LANE for step in range(3))
        out = next(
            (spot for spot in free if not any(shares(spot, start[1], end[1], lane) for lane in self._lanes)), out
        )
        self._lanes.append((out, start[1], end[1]))
        _arrow(self._ax, [start, (out, start[1]), (out, end[1]), end], colour=GREEN)
        if words:
            self._ax.text(
                out, (start[1] + end[1]) / 2, words, fontsize=SMALL, color=GREEN, ha="center", va="center", rotation=90,
                zorder=4, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            )  # fmt: skip


def between_panels(ax: Axes, stages: Sequence[Stage], items: Mapping[int, Item], drawn: Placed) -> None:
    """Arrows from panel to panel, and above them where stages lie between; in several rows names stand for these."""
    where = {number: place for place, stage in enumerate(stages) for number in stage.boxes}
    done: set[tuple[int, int]] = set()
    for number, item in items.items():
        for source in sorted(item.sources):
            pair = (where.get(source, -1), where[number])
            if pair[0] < 0 or pair[0] >= pair[1] or pair in done:
                continue
            done.add(pair)
            (left, top), (wide, tall) = drawn.spots[pair[0]], drawn.panels[pair[0]]
            to = drawn.spots[pair[1]]
            if pair[1] - pair[0] > 1:
                if drawn.one_row:
                    _above(ax, pair, drawn)
            elif to[0] > left:
                y = max(top, to[1]) + HEAD / 2
                _arrow(ax, [(left + wide, y), (to[0], y)])
            else:  # the next row
                bottom = to[1] - ROW_GAP / 2
                start, end = (left + wide / 2, top + tall), (to[0] + 0.6, to[1])
                _arrow(ax, [start, (start[0], bottom), (end[0], bottom), end])


def _above(ax: Axes, pair: tuple[int, int], drawn: Placed) -> None:
    """Along the heads, which lower panels leave free; else above all."""
    spots = drawn.spots
    (left, top), to = spots[pair[0]], spots[pair[1]]
    wide = drawn.panels[pair[0]][0]
    free = all(spots[p][1] > max(top, to[1]) + 0.3 for p in range(pair[0] + 1, pair[1]))
    if free and abs(top - to[1]) < 0.1:
        y = top + 0.22
        _arrow(ax, [(left + wide, y), (to[0], y)], colour=GREEN)
        return
    above = min(spots[p][1] for p in range(pair[0], pair[1] + 1)) - 0.08 - 0.07 * min(3, pair[1] - pair[0])
    start, end = (left + wide / 2, top), (to[0] + drawn.panels[pair[1]][0] / 2, to[1])
    _arrow(ax, [start, (start[0], above), (end[0], above), end], colour=GREEN)


def _arrow(ax: Axes, points: Sequence[Point], colour: str = GREY) -> None:
    if len(points) > 2:
        path = Path(list(points[:-1]), [Path.MOVETO] + [Path.LINETO] * (len(points) - 2))
        ax.add_patch(PathPatch(path, facecolor="none", edgecolor=colour, linewidth=1.5, joinstyle="round", zorder=2))
    ax.annotate(
        "", points[-1], points[-2], zorder=2,
        arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 1.5, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 13},
    )  # fmt: skip


def shares(out: float, top: float, bottom: float, lane: Lane) -> bool:
    """Tell whether a shortcut would run on another one for more than a point."""
    return abs(out - lane[0]) < LANE / 2 and min(bottom, lane[2]) - max(top, lane[1]) > 0.02


def _hits(way: Sequence[Point], boxes: Sequence[tuple[Point, Size]]) -> bool:
    """Tell whether a box stands on a way."""
    return any(_on_line(middle, size, a, b) for a, b in pairwise(way) for middle, size in boxes)


def _on_line(middle: Point, size: Size, start: Point, end: Point) -> bool:
    """Tell whether a box stands on the straight way."""
    for step in range(41):
        x = start[0] + (end[0] - start[0]) * step / 40
        y = start[1] + (end[1] - start[1]) * step / 40
        if abs(x - middle[0]) < size[0] / 2 and middle[1] < y < middle[1] + size[1]:
            return True
    return False
