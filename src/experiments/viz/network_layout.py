"""Places for the boxes of a network: what follows stands below, what is parallel stands side by side.

Networks are nearly series and parallel parts in each other. A box that every way passes is a waist; between two waists the
parts that know nothing of each other are branches, and each is laid out in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

GAP, BESIDE = 0.34, 0.3  # inches between boxes

Size = tuple[float, float]


class Layout(NamedTuple):
    """Attributes:
    width: in inches.
    height: likewise.
    places: of each box, its middle from left to right, and its top.
    """

    width: float
    height: float
    places: dict[int, tuple[float, float]]


def arranged(boxes: Sequence[int], edges: set[tuple[int, int]], sizes: Mapping[int, Size]) -> Layout:
    """Lays boxes out.

    Args:
        boxes: in the order in which they run.
        edges: from a box to one behind it.
        sizes: width and height of each.
    """
    after = _reached(boxes, edges)
    waists = [box for box in boxes if all(box == one or one in after[box] or box in after[one] for one in boxes)]
    parts: list[Layout] = []
    rest: list[int] = []
    for box in boxes:
        if box not in waists:
            rest.append(box)
            continue
        parts += _side_by_side(rest, edges, sizes, whole=len(boxes))
        rest = []
        parts.append(Layout(*sizes[box], {box: (sizes[box][0] / 2, 0.0)}))
    parts += _side_by_side(rest, edges, sizes, whole=len(boxes))
    return _stacked(parts)


def _side_by_side(
    boxes: Sequence[int], edges: set[tuple[int, int]], sizes: Mapping[int, Size], whole: int
) -> list[Layout]:
    """Return what lies between two waists, as one part; its branches are laid out by themselves."""
    if not boxes:
        return []
    branches = _components(boxes, edges)
    if len(branches) == 1 and len(boxes) == whole:  # no series and no parallel parts: one below the other
        return [Layout(*sizes[box], {box: (sizes[box][0] / 2, 0.0)}) for box in boxes]
    inner = [arranged(branch, {(a, b) for a, b in edges if a in branch and b in branch}, sizes) for branch in branches]
    places, left = {}, 0.0
    height = max(one.height for one in inner)
    for one in inner:
        lower = (height - one.height) / 2
        places.update({box: (x + left, y + lower) for box, (x, y) in one.places.items()})
        left += one.width + BESIDE
    return [Layout(left - BESIDE, height, places)]


def _stacked(parts: Sequence[Layout]) -> Layout:
    width, top, places = max((one.width for one in parts), default=0.0), 0.0, {}
    for one in parts:
        shift = (width - one.width) / 2
        places.update({box: (x + shift, y + top) for box, (x, y) in one.places.items()})
        top += one.height + GAP
    return Layout(width, max(0.0, top - GAP), places)


def _reached(boxes: Sequence[int], edges: set[tuple[int, int]]) -> dict[int, set[int]]:
    """Return what comes behind each box."""
    after: dict[int, set[int]] = {box: set() for box in boxes}
    for box in reversed(boxes):
        for a, b in edges:
            if a == box and b in after:
                after[box] |= {b} | after[b]
    return after


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
    found: dict[int, list[int]] = {}
    for box in boxes:
        found.setdefault(root(box), []).append(box)
    return list(found.values())
