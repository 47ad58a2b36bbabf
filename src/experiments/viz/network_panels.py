"""Where the panels of a picture of a network stand, and whether all of it can be read on a projector."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple

from experiments.viz.canvas import SMALL, TEXT, TITLE
from experiments.viz.network_layout import COLUMN_GAP, Layout, Size, arranged, reached, waists
from experiments.viz.raster import text_width
from experiments.viz.recurrent_cell import cell_size

PROJECTOR = (20.9, 11.75)  # inches; shown on 1920 × 1080 pixels, the smallest letters of so large a picture have 14
PAD, HEAD, ROW_GAP, MARGIN = 0.28, 1.12, 0.5, 0.35  # inches
BETWEEN = 0.45  # inches from panel to panel
LEVEL = 0.75  # inches a panel stands lower for each halving, where others jump over it
ARROW = 0.4  # inches of an arrow from another stage, beside the stage's name
TALLEST = (inf, 9.3, 7.5, 6.0, 4.8, 3.6)  # inches of a column; the first with which all fits


@dataclass(frozen=True)
class Item:
    """A box: `kind` is layer, operator, rnn, lstm or gru; `state` is learns, frozen or empty; `words` say of a source what it
    gives, where that is not its main output.
    """

    lines: Sequence[str]
    kind: str
    state: str
    sources: frozenset[int]
    words: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """A panel: three lines above it, its boxes, and blocks that repeat.

    Attributes:
        lines: name, what comes out, parameters.
        state: of all of it: learns, frozen or empty.
        frames: boxes with a dashed line around them, and what is written beside it.
        side: pixels of what comes out, for networks that shrink and grow; 0 where that says nothing.
    """

    lines: tuple[str, str, str]
    state: str
    boxes: Sequence[int]
    frames: Sequence[tuple[Sequence[int], str]] = ()
    side: int = 0


class Placed(NamedTuple):
    """Attributes:
    inner: of each panel its boxes.
    panels: sizes of panels.
    spots: their upper left corners.
    shifts: from a panel's left side to its boxes.
    size: of the picture, in inches.
    one_row: whether arrows may run above the panels.
    """

    inner: list[Layout]
    panels: list[Size]
    spots: list[tuple[float, float]]
    shifts: list[float]
    size: Size
    one_row: bool

    @property
    def excess(self) -> float:
        """How many times larger than what a projector shows; 1 or less is legible."""
        return max(self.size[0] / PROJECTOR[0], self.size[1] / PROJECTOR[1])


def placed(title: str, note: str, stages: Sequence[Stage], items: Mapping[int, Item], legend: bool) -> Placed:
    """Place all panels: in one row or several, tall ones in columns, so that a projector shows all letters if that can be."""
    heading = max(text_width(title, TITLE, bold=True) + 0.3 + text_width(note, TEXT), 6.0) + MARGIN * 2
    sizes = {number: box_size(item) for number, item in items.items()}
    candidates: list[Placed] = []
    for tallest in TALLEST:
        for one_row in (True, False) if _jumps(stages, items) else (False,):
            placing = _placed(stages, items, sizes, tallest, one_row)
            width, height = placing.size
            candidates.append(placing._replace(size=(max(width, heading), height + (0.4 if legend else 0.1))))
            if candidates[-1].excess <= 1:
                return candidates[-1]
    return min(candidates, key=lambda placing: placing.excess)


def entries(stages: Sequence[Stage], items: Mapping[int, Item]) -> dict[int, str]:
    """Return what is written beside boxes that read another stage than the one before, or that one beside the first box."""
    where = {number: place for place, stage in enumerate(stages) for number in stage.boxes}
    texts: dict[int, str] = {}
    for place, stage in enumerate(stages):
        first = {where[source] for source in items[stage.boxes[0]].sources if where.get(source, place) < place}
        read = {where[source] for number in stage.boxes for source in items[number].sources if source in where}
        earlier = {stage_before for stage_before in read if stage_before < place}
        for number in stage.boxes:
            outside = sorted({where[source] for source in items[number].sources if where.get(source, place) < place})
            if not outside or (items[number].lines[0] == "+" and set(outside) <= first):
                continue
            reads_on = any(where.get(source) == place for source in items[number].sources)
            if earlier == {place - 1} and not reads_on:  # an arrow into it tells
                continue
            begins = number == stage.boxes[0] or items[number].sources == items[stage.boxes[0]].sources
            if any(other != place - 1 for other in outside) or not begins:
                named = [stages[other].lines[0] for other in outside]
                text = f"from {' and '.join(named)}" if len(named) < 3 else f"from {named[0]} … {named[-1]}"
                if not (begins and text in [texts.get(box) for box in stage.boxes]):  # side by side at the top: once
                    texts[number] = text
    return texts


def beside_width(boxes: Collection[int], beside: Mapping[int, str]) -> float:
    """Inches that the arrows from other stages take to the left of these boxes."""
    return max((text_width(beside[box], SMALL) + ARROW + 0.1 for box in boxes if box in beside), default=0.0)


def box_size(item: Item) -> Size:
    """Width and height of a box, in inches."""
    if item.kind in ("rnn", "lstm", "gru"):
        return cell_size(item.kind)
    if item.kind == "operator" and len(item.lines) == 1 and len(item.lines[0]) <= 1:
        return 0.42, 0.42
    wide = max(text_width(line, TEXT if not place else SMALL) for place, line in enumerate(item.lines))
    return wide + 0.3, 0.14 + 0.25 * len(item.lines)


def _placed(
    stages: Sequence[Stage], items: Mapping[int, Item], sizes: Mapping[int, Size], tallest: float, one_row: bool
) -> Placed:
    beside = entries(stages, items)
    inner, panels, shifts = [], [], []
    for stage in stages:
        edges, leads = _edges(stage, items, beside)
        whole = [numbers for numbers, _ in stage.frames if _height(numbers, edges, sizes) < tallest]
        gap = COLUMN_GAP + beside_width(stage.boxes[1:], beside)
        layout = arranged(stage.boxes, edges, sizes, tallest, whole, leads, gap)
        size, shift = _panel(stage, layout, items, sizes, beside)
        inner.append(layout)
        panels.append(size)
        shifts.append(shift)
    spots, width, height = _in_one_row(stages, panels) if one_row else _in_rows(panels)
    return Placed(inner, panels, spots, shifts, (width, height), one_row)


def _height(boxes: Sequence[int], edges: set[tuple[int, int]], sizes: Mapping[int, Size]) -> float:
    inside = {(a, b) for a, b in edges if a in boxes and b in boxes}
    return arranged(boxes, inside, sizes).height


def _edges(
    stage: Stage, items: Mapping[int, Item], beside: Mapping[int, str]
) -> tuple[set[tuple[int, int]], list[int]]:
    """Return edges inside a stage, and boxes that begin beside others; these stand next to what is read with them."""
    inside = set(stage.boxes)
    edges = {(a, b) for b in stage.boxes for a in items[b].sources if a in inside and a < b}
    leads = [b for b in stage.boxes[1:] if b in beside and not any(end == b for _, end in edges)]
    for box in leads:
        reader = min((b for a, b in edges if a == box), default=None)
        with_it = [a for a, b in edges if b == reader and a != box and a not in leads]
        edges |= {(a, box) for a, b in list(edges) if b in with_it and a < box}
    return edges | _beside_the_next(stage.boxes, edges), leads


def _beside_the_next(boxes: Sequence[int], edges: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """Return edges from where a side way ends, such as an auxiliary head, to behind the block that runs meanwhile."""
    after = reached(boxes, edges)
    main = [box for box in boxes if box == boxes[-1] or boxes[-1] in after[box]]
    alone = waists(main, after)
    ends = set()
    for end in (box for box in boxes if box not in main and not after[box] and any(b == box for _, b in edges)):
        behind = [box for box in alone if box > end]
        reads = {b for a, b in edges for start in main if a == start and end in after[start] and b in behind[:1]}
        if behind:
            ends |= {(end, begin) for begin in (behind[1:2] if behind[0] in reads else behind[:1])}
    return ends


def _panel(
    stage: Stage, inner: Layout, items: Mapping[int, Item], sizes: Mapping[int, Size], beside: Mapping[int, str]
) -> tuple[Size, float]:
    """Return the size of a panel, and how far its boxes stand from its left side."""
    words = max(text_width(line, TEXT, bold=not place) for place, line in enumerate(stage.lines))
    jumps = any(items[b].lines[0] == "+" for b in stage.boxes)
    labels = [text_width(line, TEXT, bold=True) for _, text in stage.frames for line in text.split("\n")]
    right = max(0.75 / 2 if jumps else 0, max(labels) + 0.55 if labels else 0)
    left = 0.75 / 2 if jumps else 0.12 if labels else 0.0
    for box in set(stage.boxes) & set(beside):
        if box in inner.columns[0][0]:
            left = max(left, beside_width([box], beside) - inner.places[box][0] + sizes[box][0] / 2)
    width = left + inner.width + right
    spare = max(0.0, words - width)
    return (width + spare + 2 * PAD, inner.height + HEAD + PAD), PAD + left + spare / 2


def _jumps(stages: Sequence[Stage], items: Mapping[int, Item]) -> list[tuple[int, int]]:
    """Pairs of boxes whose stages do not follow each other."""
    where = {number: place for place, stage in enumerate(stages) for number in stage.boxes}
    return [(a, b) for b, item in items.items() for a in item.sources if a in where and where[b] - where[a] > 1]


def _in_one_row(stages: Sequence[Stage], panels: Sequence[Size]) -> tuple[list[tuple[float, float]], float, float]:
    """Return the upper left corner of each panel, and the size of the picture; lower where the maps are smaller."""
    top, spots, left, lowest = 0.85, [], MARGIN, 0.0
    shrinks, largest = len({stage.side for stage in stages}) > 2, max(stage.side for stage in stages)
    for stage, (wide, tall) in zip(stages, panels, strict=True):
        level = (largest // stage.side).bit_length() - 1 if shrinks and stage.side else 0
        spots.append((left, top + 0.3 + level * LEVEL))
        lowest = max(lowest, top + 0.3 + level * LEVEL + tall)
        left += wide + BETWEEN
    return spots, left - BETWEEN + MARGIN, lowest + MARGIN


def _in_rows(panels: Sequence[Size]) -> tuple[list[tuple[float, float]], float, float]:
    """Return the upper left corner of each panel in as many rows as a projector's width asks for, and the size of all."""
    top, spots, left, deepest, widest = 0.85, [], MARGIN, 0.0, 0.0
    for wide, tall in panels:
        if left > MARGIN and left + wide > PROJECTOR[0] - MARGIN:
            left, top, deepest = MARGIN, top + deepest + ROW_GAP, 0.0
        spots.append((left, top))
        left, deepest = left + wide + BETWEEN, max(deepest, tall)
        widest = max(widest, left - BETWEEN)
    return spots, widest + MARGIN, top + deepest + MARGIN
