"""Charts of a sweep by its choices: a map of two, a line over one, and all of a search side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from experiments.compare.analysis import Field
from experiments.compare.axes import WIDTH, Scale, cut, text_width, tick, x_axis, y_axis
from experiments.compare.cells import FIELD, Cell, by_size
from experiments.compare.effects import Effect
from experiments.compare.vector_drawing import Drawing
from experiments.compare.wording import number

DOTS = 300  # cells in a scatter or in parallel coordinates
_LINES = 6  # levels of a second choice; there are eight colours
_CELLS = 20  # levels a side of the heat map


def sample(cells: list[Cell]) -> list[Cell]:
    """Return at most as many trials as a chart can show: the best tenth, and the others at even steps."""
    if len(cells) <= DOTS:
        return cells
    tenth = DOTS // 10
    step = (len(cells) - tenth) / (DOTS - tenth)
    return cells[:tenth] + [cells[tenth + int(place * step)] for place in range(DOTS - tenth)]


def heat_map(field: Field, effects: Sequence[Effect]) -> tuple[Drawing, str] | None:
    """Return the metric over two choices, and a caption; where more differ, over the two that matter most, averaged
    over the rest.
    """
    keys = [key for key in field.columns if len({cell.level(key) for cell in field.scored}) > 1 and key not in FIELD]
    order = {effect.factor: place for place, effect in enumerate(effects) if effect.difference}
    keys.sort(key=lambda key: order.get(key, len(order)))
    rest, keys = keys[2:], keys[:2]
    if len(keys) < 2:
        return None
    keys.sort(key=lambda key: -len({cell.level(key) for cell in field.scored}))
    down, across = ([*sorted({cell.level(key) for cell in field.scored}, key=by_size)] for key in keys)
    if len(down) > _CELLS or len(across) > _CELLS:
        return None
    boxes: dict[tuple[str, str], list[float]] = {}
    matched, over = _matched(field.scored, keys, rest)
    for cell in matched:
        boxes.setdefault((cell.level(keys[0]), cell.level(keys[1])), []).append(cell.mean(field.metric))
    if 2 * len(boxes) < len(down) * len(across):
        return None
    means = {place: fmean(several) for place, several in boxes.items()}
    left = min(max(text_width(level) for level in [*down, f"{keys[0]} ↓"]), WIDTH * 0.36) + 14
    wide, high = (WIDTH - left - 4) / len(across), 42.0
    drawing = _drawing(46 + high * len(down) + 6, f"{field.metric} by {keys[0]} and {keys[1]}", over)
    drawing.text(left, 14, f"{keys[1]} →", "grey", 12)
    drawing.text(left - 10, 14, cut(f"{keys[0]} ↓", left - 10, 12), "grey", 12, "end")
    bad, good = (
        (max(means.values()), min(means.values())) if field.lower else (min(means.values()), max(means.values()))
    )
    for column, level in enumerate(across):
        drawing.text(left + wide * (column + 0.5), 36, cut(level, wide, 12.5, across), size=12.5, anchor="middle")
    for row, level in enumerate(down):
        y = 44 + high * row
        drawing.text(left - 10, y + high / 2 + 4, cut(level, left - 14, among=down), anchor="end")
        for column, other in enumerate(across):
            mean = means.get((level, other))
            x = left + wide * column
            if mean is None:
                drawing.text(x + wide / 2, y + high / 2 + 4, "–", "grey", anchor="middle")
                continue
            share = (mean - bad) / (good - bad) if good != bad else 0.5
            drawing.box(
                x + 1, y + 1, wide - 2, high - 2, "accent", 0.1 + 0.9 * share**1.2, f"{level}, {other}: {number(mean)}"
            )
            size = 13.0 if wide >= 58 else max(wide / 4.6, 7.5)
            drawing.text(
                x + wide / 2,
                y + high / 2 + 4.5,
                number(mean),
                "back" if share > 0.7 else "ink",
                size,
                "middle",
                mean == good,
            )
    return drawing, f"Mean {field.metric} by {keys[0]} and {keys[1]}. The stronger the blue, the better.{over}"


def _drawing(height: float, title: str, below: str) -> Drawing:
    """Return an empty drawing with a sentence below it: what a picture averages over stands on it."""
    lines: list[str] = []
    for word in below.split():
        if lines and text_width(f"{lines[-1]} {word}", 12) <= WIDTH - 16:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    drawing = Drawing(WIDTH, height + 17 * len(lines), title)
    for row, line in enumerate(lines):
        drawing.text(8, height + 12 + 17 * row, line, "grey", 12)
    return drawing


def _matched(cells: list[Cell], keys: Sequence[str], rest: Sequence[str]) -> tuple[list[Cell], str]:
    """Return the cells whose means over the other choices can be compared, and a sentence on what the means are over.

    Args:
        cells: all there are.
        keys: the choices that are shown.
        rest: the others. Of their combinations those count that have every level of `keys`, so that no mean is over an easier
            mixture than the next; all of them, with a warning, where none has.
    """
    if not rest:
        return cells, ""
    combinations: dict[tuple[str, ...], list[Cell]] = {}
    for cell in cells:
        combinations.setdefault(tuple(cell.level(key) for key in rest), []).append(cell)
    count = len({tuple(cell.level(key) for key in keys) for cell in cells})
    whole = [
        some
        for some in combinations.values()
        if len({tuple(cell.level(key) for key in keys) for cell in some}) == count
    ]
    named = ", ".join(rest)
    if not whole:
        return (
            cells,
            f" Averaged over {named}, of which no combination was run with everything shown: the means are over unlike mixtures.",
        )
    some = f"the {len(whole)} of {len(combinations)} combinations of {named} that were run with everything shown"
    over = named if len(whole) == len(combinations) else some
    return [cell for cells_ in whole for cell in cells_], f" Averaged over {over}."


def response(field: Field) -> tuple[Drawing, str] | None:
    """Return the metric against a choice that is a number, a line for each level of one other choice, and a caption."""
    keys = [key for key in field.columns if len({cell.level(key) for cell in field.scored}) > 1 and key not in FIELD]
    numeric = [key for key in keys if _numbers_of(field, key)]
    if not numeric:
        return None
    key = max(numeric, key=lambda name: len(_numbers_of(field, name)))
    others = sorted((name for name in keys if name != key), key=lambda name: len({c.level(name) for c in field.scored}))
    others = [name for name in others if len({cell.level(name) for cell in field.scored}) <= _LINES]
    split, rest = (others[-1] if others else None), [name for name in keys if name not in (key, *others[-1:])]
    lines: dict[str, dict[float, list[float]]] = {}
    matched, over = _matched(field.scored, [key, *([split] if split else [])], rest)
    for cell in matched:
        line = lines.setdefault(cell.level(split) if split else "", {})
        line.setdefault(float(cell.level(key)), []).extend(cell.values(field.metric).values())
    levels = sorted(lines, key=by_size)
    if not any(len(line) > 2 for line in lines.values()):
        return None
    top, bottom = 24.0, 240.0
    drawing = _drawing(bottom + 48 + 20.0 * (len(levels) if split else 0), f"{field.metric} against {key}", over)
    values = [value for line in lines.values() for several in line.values() for value in several]
    y = Scale.over(values, bottom, top, log=False)
    left = 16 + max(text_width(tick(value), 12) for value in y.ticks())
    places = [place for line in lines.values() for place in line]
    x = Scale.over(places, left + 6, WIDTH - 14, log=min(places) > 0 and max(places) >= 8 * min(places), margin=0.03)
    y_axis(drawing, y, left, WIDTH - 8)
    drawing.text(4, 13, field.metric, "grey", 12)
    x_axis(drawing, x, top, bottom, key + (", logarithmic" if x.log else ""), places)
    for number_, level in enumerate(levels):
        line, colour = lines[level], f"c{number_}"
        drawing.line([(x(x_value), y(fmean(line[x_value]))) for x_value in sorted(line)], colour, 2.2)
        for x_value, several in line.items():
            drawing.line([(x(x_value), y(min(several))), (x(x_value), y(max(several)))], colour, 1.4, 0.5)
            drawing.dot(
                x(x_value),
                y(fmean(several)),
                4,
                colour,
                title=f"{level} {key}={tick(x_value)}: {number(fmean(several))}",
            )
        if split:
            at = bottom + 50 + 20 * number_
            drawing.line([(left, at), (left + 20, at)], colour, 4)
            drawing.text(
                left + 28,
                at + 4.5,
                cut(f"{split}={level}", WIDTH - left - 30, among=[f"{split}={part}" for part in levels]),
            )
    what = "run" if rest else "seed"
    return drawing, f"Dot: mean over {what}s. Bar: from the lowest to the highest {what}.{over}"


def _numbers_of(field: Field, key: str) -> set[float]:
    """Return the levels of a choice as numbers; none if they are fewer than three, or one is no number."""
    try:
        levels = {float(cell.level(key)) for cell in field.scored}
    except ValueError:
        return set()
    return levels if len(levels) > 2 and all(math.isfinite(level) for level in levels) else set()


def parallel(field: Field) -> Drawing | None:
    """Return every cell as a line through its choices to its result; the best stand out. For searches: from three
    choices on.
    """
    keys = [key for key in field.columns if len({cell.level(key) for cell in field.scored}) > 1 and key not in FIELD]
    if len(keys) < 2 or len(field.scored) < 6 or (len(keys) < 3 and len(field.scored) < 30):
        return None
    keys = keys[:7]
    cells = field.scored
    cells = sample(cells)
    wide = max(WIDTH, 150.0 * len(keys) + 110)
    top, bottom = 44.0, 270.0
    drawing = Drawing(wide, bottom + 16, f"{field.metric} by all choices")
    gap = (wide - 150) / len(keys)
    lines: list[list[tuple[float, float]]] = [[] for _ in cells]
    for number_of, key in enumerate(keys):
        x = 60 + gap * number_of
        levels = sorted({cell.level(key) for cell in field.scored}, key=by_size)
        drawing.line([(x, top), (x, bottom)], "pale", 1.5)
        drawing.text(x, 18, cut(key.rpartition(".")[2] or key, gap - 10), "grey", 12.5, "middle")
        if len(levels) > 6 and not any(by_size(level)[0] for level in levels):
            scale = Scale.over([float(level) for level in levels], bottom, top, margin=0.02)
            marks = [(scale(value), tick(value)) for value in scale.ticks(4)]
            at = {level: scale(float(level)) for level in levels}
        else:
            at = {
                level: bottom - 8 - (bottom - top - 16) * (place + 0.5) / len(levels)
                for place, level in enumerate(levels)
            }
            marks = [(y, cut(level, gap - 16, 12, levels)) for level, y in at.items()] if len(levels) <= 14 else []
        for line, cell in zip(lines, cells, strict=True):
            line.append((x, at[cell.level(key)]))
        for y, text in marks:
            drawing.dot(x, y, 2.5, "grey")
            drawing.text(x + 7, y - 6, text, "grey", 12, halo=True)
    x = wide - 84
    ends = (top, bottom) if field.lower else (bottom, top)
    scale = Scale.over([cell.mean(field.metric) for cell in cells], *ends, log=False)
    drawing.line([(x, top), (x, bottom)], "pale", 1.5)
    drawing.text(x, 18, cut(field.metric, 150), "grey", 12.5, "middle")
    drawing.text(x, 34, "best at the top", "grey", 11, "middle")
    for value in scale.ticks(5):
        drawing.text(x + 10, scale(value) + 4, tick(value), "grey", 12, halo=True)
    for line, cell in zip(lines, cells, strict=True):
        line.append((x, scale(cell.mean(field.metric))))
    bold = max(1, min(5, len(cells) // 10))
    shapes, drawing.shapes = drawing.shapes, []
    for place in reversed(range(len(cells))):
        share = 1 - place / len(cells)
        if place < bold:
            drawing.line(lines[place], "mark", 2.4, 0.95)
        else:
            drawing.line(lines[place], "accent", 1.2, 0.08 + 0.5 * share**2)
    drawing.shapes += shapes  # names over lines
    return drawing
