"""The charts of a comparison. Each function takes a field and gives a drawing, or None where there is nothing to show."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import fmean

from experiments.sweeps.analysis import UNCLEAR, Comparison, Effect, Field
from experiments.sweeps.cells import COSTS, FIELD, Cell, by_size
from experiments.sweeps.drawing import Drawing
from experiments.sweeps.history import Point, curves, curves_of_interest
from experiments.sweeps.words import MINUS, measured, number, short

WIDTH = 400.0
_ROWS = 12  # cells in the interval chart
_DOTS = 300  # cells in a scatter or in parallel coordinates
_LINES = 6  # cells in the learning curves; there are eight colours
_CELLS = 20  # levels a side of the heat map


def text_width(text: str, size: float = 13) -> float:
    """About how wide a text will be; generous."""
    return 0.57 * size * len(text)


def cut(text: str, width: float, size: float = 13) -> str:
    """A text that fits into a width: cut with an ellipsis."""
    most = max(int(width / (0.57 * size)), 2)
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


class Scale:
    """Values to places along one axis, linear or logarithmic.

    Args:
        low, high: values at the ends.
        start, end: places of the ends.
        log: whether equal factors are equally long.
    """

    def __init__(self, low: float, high: float, start: float, end: float, log: bool = False) -> None:
        if not high > low:
            pad = abs(low) * 0.05 or 0.5
            low, high = (low / 1.05, low * 1.05) if log else (low - pad, high + pad)
        self.low, self.high, self.start, self.end, self.log = low, high, start, end, log

    @classmethod
    def over(
        cls, values: Iterable[float], start: float, end: float, log: bool | None = None, margin: float = 0.06
    ) -> Scale:
        """Over some values with a margin; logarithmic, unless told, where they are positive and span a factor of 20."""
        there = list(values)
        low, high = min(there), max(there)
        if log is None:
            log = low > 0 and high / low >= 20
        if log:
            factor = (high / low) ** margin
            return cls(low / factor, high * factor, start, end, True)
        pad = (high - low) * margin
        return cls(low - pad, high + pad, start, end)

    def __call__(self, value: float) -> float:
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, most: int = 5) -> list[float]:
        """Round values between the ends."""
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            for steps in ((1, 2, 5), (1, 3), (1,)):
                found = [step * 10.0**power for power in powers for step in steps]
                found = [value for value in found if self.low <= value <= self.high]
                if 2 <= len(found) <= most:
                    return found
            if len(found) > most:
                return found[:: math.ceil(len(found) / most)]
            if len(found) >= 2:
                return found
        rough = (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        count = math.floor(self.high / step + 1e-9) - first + 1
        return [(first + place) * step for place in range(count)]


def tick(value: float) -> str:
    """The shortest text of a round number."""
    for limit, unit in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= limit:
            return f"{value / limit:.6g}{unit}".replace("-", MINUS)
    return f"{value:.10g}".replace("-", MINUS)


def _across(drawing: Drawing, scale: Scale, top: float, bottom: float, label: str) -> None:
    """A horizontal axis: faint lines, numbers and its name below."""
    for value in scale.ticks():
        x = scale(value)
        drawing.line([(x, top), (x, bottom)], "pale")
        half = text_width(tick(value), 12) / 2
        drawing.text(min(max(x, half), drawing.width - half), bottom + 17, tick(value), "grey", 12, "middle")
    drawing.text((scale.start + scale.end) / 2, bottom + 35, label, "grey", 12, "middle")


def _up(drawing: Drawing, scale: Scale, left: float, right: float) -> None:
    """A vertical axis: faint lines and numbers to the left."""
    for value in scale.ticks():
        y = scale(value)
        drawing.line([(left, y), (right, y)], "pale")
        drawing.text(left - 7, y + 4, tick(value), "grey", 12, "end")


def _standing(field: Field, cell: Cell) -> str:
    """Colour by what can be said: the best, what cannot be told from it, the rest."""
    if cell is field.scored[0]:
        return "mark"
    if field.reference is field.scored[0]:
        verdict = field.verdict_of.get(id(cell))
        return "accent" if verdict and verdict.word == UNCLEAR else "c7"
    return "c7"


def intervals(field: Field) -> Drawing | None:
    """Mean, 95 % interval and every seed, a row a cell."""
    cells = field.scored[:_ROWS]
    if len(cells) < 2:
        return None
    values = {id(cell): list(cell.values(field.metric).values()) for cell in cells}
    flat = [value for several in values.values() for value in several]
    reach = (max(flat) - min(flat)) or abs(flat[0]) * 0.1 or 1.0
    ends = [end for cell in cells for end in field.interval(cell) if not math.isnan(end)]
    # Two seeds can have an interval ten times as long as all that was measured: cut it rather than squeeze the rest.
    low = max(min([*flat, *ends]), min(flat) - 0.5 * reach)
    high = min(max([*flat, *ends]), max(flat) + 0.5 * reach)
    step, top = 46.0, 8.0
    bottom = top + step * len(cells)
    drawing = Drawing(WIDTH, bottom + 44, f"{field.metric} of each cell with its 95 % interval")
    scale = Scale.over([low, high], 8, WIDTH - 8, log=False, margin=0.03)
    _across(drawing, scale, top, bottom, field.metric)
    for place, cell in enumerate(cells):
        y, colour = top + step * place + 31, _standing(field, cell)
        figure = measured(field, cell)
        best = place == 0 and field.clear
        drawing.text(8, y - 13, cut(field.label(cell), WIDTH - 32 - text_width(figure)), bold=best)
        drawing.text(WIDTH - 8, y - 13, figure, "ink" if best else "grey", anchor="end", bold=best)
        start, end = field.interval(cell)
        if not math.isnan(start):
            left, right = (min(max(scale(one), 4), WIDTH - 4) for one in (start, end))
            drawing.box(left, y - 5, max(right - left, 2), 10, colour, 0.28, f"95 %: {number(start)} to {number(end)}")
        for seed, value in cell.values(field.metric).items():
            drawing.dot(scale(value), y, 3, colour, 0.55, title=f"seed {seed}: {number(value)}")
        x = scale(fmean(values[id(cell)]))
        drawing.line([(x, y - 8), (x, y + 8)], colour, 3)
    return drawing


def learning_curves(field: Field, found: Sequence[tuple[Cell, dict[str, list[Point]]]], name: str) -> Drawing | None:
    """One quantity over the epochs: the mean over seeds, and a band from the lowest to the highest seed.

    Args:
        field: where the cells come from.
        found: the best cells and their curves, in the order of their colours.
        name: the quantity.
    """
    drawn = [(place, cell, lines[name]) for place, (cell, lines) in enumerate(found) if len(lines.get(name, ())) > 1]
    if not drawn:
        return None
    legend = 20.0 * len(drawn)
    top, bottom = 24.0, 240.0
    drawing = Drawing(WIDTH, bottom + 48 + legend, f"{name} over the epochs")
    points = [point for _, _, line in drawn for point in line]
    y = Scale.over([end for point in points for end in (point.low, point.high)], bottom, top, log=False)
    left = 16 + max(text_width(tick(value), 12) for value in y.ticks())
    x = Scale(min(point.epoch for point in points), max(point.epoch for point in points), left + 6, WIDTH - 14)
    _up(drawing, y, left, WIDTH - 8)
    drawing.text(4, 13, name, "grey", 12)
    for value in x.ticks(8):
        if value == int(value):
            drawing.text(x(value), bottom + 17, tick(value), "grey", 12, "middle")
    drawing.text((left + WIDTH) / 2, bottom + 34, "epoch", "grey", 12, "middle")
    for place, _, line in drawn:
        band = [(x(one.epoch), y(one.high)) for one in line] + [(x(one.epoch), y(one.low)) for one in reversed(line)]
        if max(one.n for one in line) > 1:
            drawing.area(band, f"c{place}", 0.14)
    for row, (place, cell, line) in enumerate(drawn):
        drawing.line([(x(one.epoch), y(one.mean)) for one in line], f"c{place}", 2.2)
        at = bottom + 50 + 20 * row
        drawing.line([(left, at), (left + 20, at)], f"c{place}", 4)
        drawing.text(left + 28, at + 4.5, cut(field.label(cell), WIDTH - left - 30))
    return drawing


def _sample(cells: list[Cell]) -> list[Cell]:
    """At most as many as a chart can show: the best tenth of them, and the rest evenly."""
    if len(cells) <= _DOTS:
        return cells
    tenth = _DOTS // 10
    step = (len(cells) - tenth) / (_DOTS - tenth)
    return cells[:tenth] + [cells[tenth + int(place * step)] for place in range(_DOTS - tenth)]


def cost_and_metric(field: Field, key: str) -> Drawing | None:
    """The metric against one cost, with the Pareto front: cells that none beats in both."""
    front = field.front(key)
    priced = [cell for cell in field.scored if not math.isnan(cell.cost(key))]
    if len(priced) < 2:
        return None
    rank = {id(cell): place for place, cell in enumerate(field.scored, 1)}
    on_front = {id(cell) for cell in front}
    kept = list({id(cell): cell for cell in [*_sample(priced), *front]}.values())
    top, bottom = 26.0, 246.0
    drawing = Drawing(WIDTH, bottom + 44, f"{field.metric} against {COSTS[key][0]}")
    y = Scale.over([cell.mean(field.metric) for cell in kept], bottom, top, log=False, margin=0.1)
    left = 16 + max(text_width(tick(value), 12) for value in y.ticks())
    costs = [cell.cost(key) for cell in kept]
    x = Scale.over(costs, left + 4, WIDTH - 18, log=None, margin=0.08)
    _up(drawing, y, left, WIDTH - 18)
    drawing.text(4, 13, field.metric, "grey", 12)
    _across(drawing, x, top, bottom, COST_NAMES[key] + (", logarithmic" if x.log else ""))
    corners: list[tuple[float, float]] = []
    for cell in front:  # stairs: each step is what the money buys
        place = (x(cell.cost(key)), y(cell.mean(field.metric)))
        corners += [(place[0], corners[-1][1]), place] if corners else [place]
    if len(corners) > 1:
        drawing.line(corners, "mark", 1.6, 0.7)
    named = len(kept) <= 40
    for cell in reversed(kept):
        place = (x(cell.cost(key)), y(cell.mean(field.metric)))
        best = id(cell) in on_front
        title = f"{rank[id(cell)]}. {field.label(cell)}: {number(cell.mean(field.metric))}, {short(cell.cost(key))}"
        if named or (best and len(front) <= 12):
            drawing.dot(
                *place, 7 + 3 * len(str(rank[id(cell)])), "mark" if best else "c7", 1.0 if best else 0.75, title=title
            )
            drawing.text(place[0], place[1] + 4.2, str(rank[id(cell)]), "back", 11.5, "middle", bold=True)
        else:
            drawing.dot(*place, 5 if best else 3.5, "mark" if best else "c7", 1.0 if best else 0.4, title=title)
    return drawing


COST_NAMES = {
    "parameters": "parameters",
    "trainable_parameters": "trainable parameters",
    "flops_per_example": "FLOPs an example",
    "seconds": "seconds a run",
    "examples_per_second": "examples a second (more is better)",
    "peak_memory_mb": "peak memory in MB",
}


def heat_map(field: Field, effects: Sequence[Effect]) -> tuple[Drawing, str] | None:
    """The metric over two choices, and a caption; where more differ, over the two that matter most, averaged over the rest."""
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
    for cell in field.scored:
        boxes.setdefault((cell.level(keys[0]), cell.level(keys[1])), []).append(cell.mean(field.metric))
    if 2 * len(boxes) < len(down) * len(across):
        return None
    means = {place: fmean(several) for place, several in boxes.items()}
    left = min(max(text_width(level) for level in [*down, f"{keys[0]} ↓"]), WIDTH * 0.36) + 14
    wide, high = (WIDTH - left - 4) / len(across), 42.0
    drawing = Drawing(WIDTH, 46 + high * len(down) + 6, f"{field.metric} by {keys[0]} and {keys[1]}")
    drawing.text(left, 14, f"{keys[1]} →", "grey", 12)
    drawing.text(left - 10, 14, cut(f"{keys[0]} ↓", left - 10, 12), "grey", 12, "end")
    bad, good = (
        (max(means.values()), min(means.values())) if field.lower else (min(means.values()), max(means.values()))
    )
    for column, level in enumerate(across):
        drawing.text(left + wide * (column + 0.5), 36, cut(level, wide), size=12.5, anchor="middle")
    for row, level in enumerate(down):
        y = 44 + high * row
        drawing.text(left - 10, y + high / 2 + 4, cut(level, left - 14), anchor="end")
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
    caption = f"Mean {field.metric} by {keys[0]} and {keys[1]}" + (f", averaged over {', '.join(rest)}" if rest else "")
    return drawing, f"{caption}. The stronger the blue, the better."


def response(field: Field) -> tuple[Drawing, str] | None:
    """The metric against a choice that is a number, a line for each level of one other choice, and a caption."""
    keys = [key for key in field.columns if len({cell.level(key) for cell in field.scored}) > 1 and key not in FIELD]
    numeric = [key for key in keys if _numbers_of(field, key)]
    if not numeric:
        return None
    key = max(numeric, key=lambda one: len(_numbers_of(field, one)))
    others = sorted((one for one in keys if one != key), key=lambda one: len({c.level(one) for c in field.scored}))
    others = [one for one in others if len({cell.level(one) for cell in field.scored}) <= _LINES]
    split, rest = (others[-1] if others else None), [one for one in keys if one not in (key, *others[-1:])]
    lines: dict[str, dict[float, list[float]]] = {}
    for cell in field.scored:
        line = lines.setdefault(cell.level(split) if split else "", {})
        line.setdefault(float(cell.level(key)), []).extend(cell.values(field.metric).values())
    levels = sorted(lines, key=by_size)
    if not any(len(line) > 2 for line in lines.values()):
        return None
    top, bottom = 24.0, 240.0
    drawing = Drawing(WIDTH, bottom + 48 + 20.0 * (len(levels) if split else 0), f"{field.metric} against {key}")
    values = [value for line in lines.values() for several in line.values() for value in several]
    y = Scale.over(values, bottom, top, log=False)
    left = 16 + max(text_width(tick(value), 12) for value in y.ticks())
    places = [place for line in lines.values() for place in line]
    x = Scale.over(places, left + 6, WIDTH - 14, log=min(places) > 0 and max(places) >= 8 * min(places), margin=0.03)
    _up(drawing, y, left, WIDTH - 8)
    drawing.text(4, 13, field.metric, "grey", 12)
    _across(drawing, x, top, bottom, key + (", logarithmic" if x.log else ""))
    for number_, level in enumerate(levels):
        line, colour = lines[level], f"c{number_}"
        drawing.line([(x(one), y(fmean(line[one]))) for one in sorted(line)], colour, 2.2)
        for one, several in line.items():
            drawing.line([(x(one), y(min(several))), (x(one), y(max(several)))], colour, 1.4, 0.5)
            drawing.dot(
                x(one), y(fmean(several)), 4, colour, title=f"{level} {key}={tick(one)}: {number(fmean(several))}"
            )
        if split:
            at = bottom + 50 + 20 * number_
            drawing.line([(left, at), (left + 20, at)], colour, 4)
            drawing.text(left + 28, at + 4.5, cut(f"{split}={level}", WIDTH - left - 30))
    over = f" Averaged over {', '.join(rest)}." if rest else ""
    return drawing, f"Dot: mean over seeds. Bar: from the lowest to the highest seed.{over}"


def _numbers_of(field: Field, key: str) -> set[float]:
    """The levels of a choice as numbers; none if they are fewer than three, or one is no number."""
    try:
        found = {float(cell.level(key)) for cell in field.scored}
    except ValueError:
        return set()
    return found if len(found) > 2 and all(math.isfinite(one) for one in found) else set()


def parallel(field: Field) -> Drawing | None:
    """Every cell as a line through its choices to its result; the best stand out. For searches: from three choices on."""
    keys = [key for key in field.columns if len({cell.level(key) for cell in field.scored}) > 1 and key not in FIELD]
    if len(keys) < 2 or len(field.scored) < 6 or (len(keys) < 3 and len(field.scored) < 30):
        return None
    keys = keys[:7]
    cells = field.scored
    cells = _sample(cells)
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
            marks = [(y, cut(level, gap - 16, 12)) for level, y in at.items()] if len(levels) <= 14 else []
        for line, cell in zip(lines, cells, strict=True):
            line.append((x, at[cell.level(key)]))
        for y, text in marks:
            drawing.dot(x, y, 2.5, "grey")
            drawing.text(x + 7, y - 6, text, "grey", 12)
    x = wide - 84
    ends = (top, bottom) if field.lower else (bottom, top)
    scale = Scale.over([cell.mean(field.metric) for cell in cells], *ends, log=False)
    drawing.line([(x, top), (x, bottom)], "pale", 1.5)
    drawing.text(x, 18, cut(field.metric, 150), "grey", 12.5, "middle")
    drawing.text(x, 34, "best at the top", "grey", 11, "middle")
    for value in scale.ticks(5):
        drawing.text(x + 10, scale(value) + 4, tick(value), "grey", 12)
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


def all_charts(field: Field, effects: Sequence[Effect]) -> Iterator[tuple[str, str, str, Drawing]]:
    """Every chart that has something to show: file name, title, caption, drawing."""
    drawing = intervals(field)
    if drawing:
        more = f" The best {_ROWS} of {len(field.scored):,} cells." if len(field.scored) > _ROWS else ""
        how = "by resampling" if field.bootstrap else "Student’s t"
        told = "Orange: the best. " + (
            "Blue: not told from it. "
            if any(one.word == UNCLEAR for one in field.verdicts) and not field.chosen
            else ""
        )
        yield (
            "intervals",
            "Mean and 95 % interval",
            f"{told}Dots are seeds, the bar is the interval ({how}).{more}",
            drawing,
        )
    found = [(cell, curves(cell)) for cell in field.scored[:_LINES]]
    more = f" The best {_LINES} cells." if len(field.scored) > _LINES else ""
    for name in curves_of_interest(field.metric):
        drawing = learning_curves(field, found, name)
        if drawing:
            caption = f"Line: mean over seeds. Band: from the lowest to the highest seed.{more}"
            yield f"curves_{name.replace('/', '_')}", f"{name} over the epochs", caption, drawing
    for key in field.varying_costs():
        drawing = cost_and_metric(field, key)
        if drawing:
            many = f" {_DOTS} of {len(field.scored):,} cells." if len(field.scored) > _DOTS else ""
            caption = f"Numbers are ranks in the table. Orange: no other cell is both better and cheaper (Pareto front).{many}"
            yield f"cost_{key}", f"{field.metric} and {COSTS[key][0]}", caption, drawing
    heat = heat_map(field, effects)
    if heat:
        yield "heat_map", "Two choices together", heat[1], heat[0]
    against = response(field)
    if against:
        yield "response", f"{field.metric} against a number", against[1], against[0]
    drawing = parallel(field)
    if drawing:
        many = f" {_DOTS} of {len(field.scored):,} cells." if len(field.scored) > _DOTS else ""
        yield (
            "parallel",
            "All choices together",
            f"A line is a cell; orange are the best, the stronger the blue the better.{many}",
            drawing,
        )


def save_figures(comparison: Comparison, folder: Path) -> int:
    """Writes every chart as a PNG of 300 dots an inch; gives their number.

    Raises:
        OSError: when the folder cannot be written to.
    """
    count = 0
    for field in comparison.fields:
        kept = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in field.name)
        prefix = f"{kept}_" if len(comparison.fields) > 1 else ""
        for name, _, _, drawing in all_charts(field, comparison.effects):
            drawing.png(folder / f"{prefix}{name}.png")
            count += 1
    return count
