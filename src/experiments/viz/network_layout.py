"""Places for the boxes of a network: what follows stands below, what is parallel stands side by side.

Networks are nearly series and parallel parts in each other. A box that every way passes is a waist; between two waists the
parts that know nothing of each other are branches, and each is laid out in the same way.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import inf
from typing import NamedTuple

GAP, BESIDE = 0.34, 0.3  # inches between boxes
COLUMN_GAP = 1.2  # inches between columns of one stage, where shortcuts and arrows run

Size = tuple[float, float]


class Layout(NamedTuple):
    """Attributes:
    width: in inches.
    height: likewise.
    places: of each box, its middle from left to right, and its top.
    columns: the boxes of each column, with its left end; where all stand in one, that one.
    """

    width: float
    height: float
    places: dict[int, tuple[float, float]]
    columns: tuple[tuple[frozenset[int], float], ...] = ()


def arranged(
    boxes: Sequence[int],
    edges: set[tuple[int, int]],
    sizes: Mapping[int, Size],
    tallest: float = inf,
    together: Sequence[Collection[int]] = (),
    leads: Collection[int] = (),
    column_gap: float = COLUMN_GAP,
) -> Layout:
    """Lays boxes out.

    Args:
        boxes: in the order in which they run.
        edges: from a box to one behind it.
        sizes: width and height of each.
        tallest: of a column, in inches; a taller one goes on beside, where a single box leads to all that follows.
        together: boxes that stay in one column.
        leads: boxes that stand to the left of what is parallel.
        column_gap: inches between columns.
    """
    parts = _parts(boxes, edges, sizes, leads)
    columns: list[list[Layout]] = [[]]
    for place, part in enumerate(parts):
        columns[-1].append(part)
        behind = sum(below.height + GAP for below in _until_cut(parts[place + 1 :], place + 1, parts, edges, together))
        height = sum(member.height + GAP for member in columns[-1])
        if behind and height + behind > tallest + GAP and _may_end(place, parts, edges, together):
            columns.append([])
    stacks = [_stacked(column) for column in columns if column]
    left, places, stacked = 0.0, {}, []
    for stack in stacks:
        places.update({box: (x + left, y) for box, (x, y) in stack.places.items()})
        stacked.append((frozenset(stack.places), left))
        left += stack.width + column_gap
    return Layout(
        max(0.0, left - column_gap), max((member.height for member in stacks), default=0.0), places, tuple(stacked)
    )


def _may_end(
    place: int, parts: Sequence[Layout], edges: set[tuple[int, int]], together: Sequence[Collection[int]]
) -> bool:
    """Tell whether a column may end behind a part: one box leads on, and no frame is cut."""
    if len(parts[place].places) != 1:
        return False
    (last,) = parts[place].places
    over = {box for part in parts[: place + 1] for box in part.places}
    if any(a in over and b not in over and a != last for a, b in edges):
        return False
    return not any(0 < len(over & set(frame)) < len(frame) for frame in together)


def _until_cut(
    rest: Sequence[Layout], place: int, parts: Sequence[Layout], edges: set[tuple[int, int]],
    together: Sequence[Collection[int]],
) -> list[Layout]:  # fmt: skip
    """Return the parts that come in one piece with the next."""
    layouts: list[Layout] = []
    for step, part in enumerate(rest):
        layouts.append(part)
        if _may_end(place + step, parts, edges, together):
            break
    return layouts


def _parts(
    boxes: Sequence[int], edges: set[tuple[int, int]], sizes: Mapping[int, Size], leads: Collection[int]
) -> list[Layout]:
    """Return waists and what lies between two of them, from top to bottom."""
    alone = set(waists(boxes, reached(boxes, edges)))
    parts: list[Layout] = []
    rest: list[int] = []
    for box in boxes:
        if box not in alone:
            rest.append(box)
            continue
        parts += _side_by_side(rest, edges, sizes, len(boxes), leads)
        rest = []
        parts.append(Layout(*sizes[box], {box: (sizes[box][0] / 2, 0.0)}))
    return parts + _side_by_side(rest, edges, sizes, len(boxes), leads)


def _side_by_side(
    boxes: Sequence[int], edges: set[tuple[int, int]], sizes: Mapping[int, Size], whole: int, leads: Collection[int]
) -> list[Layout]:
    """Return what lies between two waists, as one part; its branches are laid out by themselves."""
    if not boxes:
        return []
    branches = _components(boxes, edges)
    if len(branches) == 1 and len(boxes) == whole:  # no series and no parallel parts: one below the other
        return [Layout(*sizes[box], {box: (sizes[box][0] / 2, 0.0)}) for box in boxes]
    branches.sort(key=lambda branch: not set(leads) & set(branch))
    inner = [
        _stacked(_parts(branch, {(a, b) for a, b in edges if a in branch and b in branch}, sizes, leads))
        for branch in branches
    ]
    places, left = {}, 0.0
    height = max(part.height for part in inner)
    for part in inner:
        lower = (height - part.height) / 2
        places.update({box: (x + left, y + lower) for box, (x, y) in part.places.items()})
        left += part.width + BESIDE
    return [Layout(left - BESIDE, height, places)]


def _stacked(parts: Sequence[Layout]) -> Layout:
    width, top, places = max((part.width for part in parts), default=0.0), 0.0, {}
    for part in parts:
        shift = (width - part.width) / 2
        places.update({box: (x + shift, y + top) for box, (x, y) in part.places.items()})
        top += part.height + GAP
    return Layout(width, max(0.0, top - GAP), places)


def reached(boxes: Sequence[int], edges: set[tuple[int, int]]) -> dict[int, set[int]]:
    """Return what comes behind each box."""
    after: dict[int, set[int]] = {box: set() for box in boxes}
    for a, b in sorted(edges, reverse=True):
        if a in after and b in after:
            after[a] |= {b} | after[b]
    return after


def waists(boxes: Sequence[int], after: Mapping[int, set[int]]) -> list[int]:
    """Return the boxes that nothing runs beside: all others come before or behind."""
    return [box for box in boxes if all(box == other or other in after[box] or box in after[other] for other in boxes)]


def _components(boxes: Sequence[int], edges: set[tuple[int, int]]) -> list[list[int]]:
    """Boxes that are joined in any way, in order."""
    group = {box: box for box in boxes}

    def root(box: int) -> int:
        while group[box] != box:
            box = group[box]
        return box

    for a, b in edges:
        if a in group and b in group:
            group[root(a)] = root(b)
    groups: dict[int, list[int]] = {}
    for box in boxes:
        groups.setdefault(root(box), []).append(box)
    return list(groups.values())
