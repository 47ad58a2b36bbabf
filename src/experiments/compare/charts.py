"""The charts of a comparison. Each function takes a field and gives a drawing, or None where there is nothing to show."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean

from experiments.compare.analysis import UNCLEAR, Comparison, Field
from experiments.compare.axes import WIDTH, Scale, lines_of, text_width, tick, x_axis, y_axis
from experiments.compare.cells import COSTS, Cell
from experiments.compare.effects import Effect
from experiments.compare.factor_charts import DOTS, heat_map, parallel, response, sample
from experiments.compare.learning_curves import Point, curves, curves_of_interest
from experiments.compare.vector_drawing import Drawing
from experiments.compare.wording import measured, number, short
from experiments.config.metric_names import usual_name

_ROWS = 12  # cells in the interval chart
_ROW, _LINE = 29.0, 17.0  # the height of a row in it, less its name's, and of a line of a name
_LINES = 6  # cells in the learning curves; there are eight colours
_NAMED = 8  # cells of a Pareto front that are named below it


def _standing(field: Field, cell: Cell) -> str:
    """Return a cell's colour: the best, those not significantly worse, the others."""
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
    figures = [measured(field, cell) for cell in cells]
    labels = [field.label(cell) for cell in cells]
    names = [
        lines_of(label, WIDTH - 32 - text_width(figure), labels) for label, figure in zip(labels, figures, strict=True)
    ]
    top, bottom = 8.0, 8.0 + sum(_ROW + _LINE * len(name) for name in names)
    drawing = Drawing(WIDTH, bottom + 44, f"{field.metric} of each cell with its 95 % interval")
    scale = Scale.over([low, high], 8, WIDTH - 8, log=False, margin=0.03)
    x_axis(drawing, scale, top, bottom, field.metric)
    y = top
    for place, (cell, name, figure) in enumerate(zip(cells, names, figures, strict=True)):
        best, colour = place == 0 and field.clear, _standing(field, cell)
        drawing.text(WIDTH - 8, y + 18, figure, "ink" if best else "grey", anchor="end", bold=best)
        for line in name:
            drawing.text(8, y + 18, line, bold=best)
            y += _LINE
        y += _ROW - 15
        start, end = field.interval(cell)
        if not math.isnan(start):
            left, right = (min(max(scale(edge), 4), WIDTH - 4) for edge in (start, end))
            drawing.box(left, y - 5, max(right - left, 2), 10, colour, 0.28, f"95 %: {number(start)} to {number(end)}")
            for tip, goes_on in ((left - 4, scale(start) < left), (right + 4, scale(end) > right)):
                if goes_on:
                    away = math.copysign(9, (left + right) / 2 - tip)
                    drawing.area([(tip, y), (tip + away, y - 8), (tip + away, y + 8)], colour)
        for seed, value in cell.values(field.metric).items():
            drawing.dot(scale(value), y, 3, colour, 0.55, title=f"seed {seed}: {number(value)}")
        x = scale(fmean(values[id(cell)]))
        drawing.line([(x, y - 8), (x, y + 8)], colour, 3)
        y += 15
    return drawing


def learning_curves(field: Field, by_cell: Sequence[tuple[Cell, dict[str, list[Point]]]], name: str) -> Drawing | None:
    """Return one quantity over the epochs: the mean over seeds, and a band from the lowest to the highest seed.

    Args:
        field: where the cells come from.
        by_cell: the best cells and their curves, in the order of their colours.
        name: the quantity.
    """
    drawn = [(place, cell, lines[name]) for place, (cell, lines) in enumerate(by_cell) if len(lines.get(name, ())) > 1]
    if not drawn:
        return None
    top, bottom = 24.0, 240.0
    points = [point for _, _, line in drawn for point in line]
    y = Scale.over([end for point in points for end in (point.low, point.high)], bottom, top, log=False)
    left = 16 + max(text_width(tick(value), 12) for value in y.ticks())
    labels = [field.label(cell) for _, cell, _ in drawn]
    names = [lines_of(label, WIDTH - left - 30, labels) for label in labels]
    legend = sum(3 + _LINE * len(lines) for lines in names)
    drawing = Drawing(WIDTH, bottom + 48 + legend, f"{name} over the epochs")
    epochs = [point.epoch + 1 for point in points]  # Lightning counts from 0, readers from 1
    x = Scale(min(epochs), max(epochs), left + 6, WIDTH - 14)
    y_axis(drawing, y, left, WIDTH - 8)
    drawing.text(4, 13, name, "grey", 12)
    for value in x.ticks(8):
        if value == int(value):
            drawing.text(x(value), bottom + 17, tick(value), "grey", 12, "middle")
    drawing.text((left + WIDTH) / 2, bottom + 34, "epoch", "grey", 12, "middle")
    for place, _, line in drawn:
        band = [(x(point.epoch + 1), y(point.high)) for point in line] + [
            (x(point.epoch + 1), y(point.low)) for point in reversed(line)
        ]
        if max(point.n for point in line) > 1:
            drawing.area(band, f"c{place}", 0.14)
    at = bottom + 50
    for (place, _, line), lines in zip(drawn, names, strict=True):
        places = [(x(point.epoch + 1), y(point.mean)) for point in line]
        # Told apart without colours too: by dashes, by hollow dots, and by large ones from the fifth line on.
        dashed, hollow, large = place % 2 == 1, place % 4 > 1, 1.7 if place > 3 else 1.0
        drawing.line(places, f"c{place}", 2.2, dashed=dashed)
        step = max(1, len(places) // 8)
        for across, up in places[place % step :: step]:
            drawing.dot(across, up, 3.2 * large, f"c{place}", hollow=hollow)
        drawing.line([(left, at), (left + 20, at)], f"c{place}", 4, dashed=dashed)
        drawing.dot(left + 10, at, 4 * large, f"c{place}", hollow=hollow)
        for text in lines:
            drawing.text(left + 28, at + 4.5, text)
            at += _LINE
        at += 3
    return drawing


def cost_and_metric(field: Field, key: str) -> Drawing | None:
    """Return the metric against one cost, with the Pareto front: cells that none beats in both."""
    front = field.front(key)
    priced = [cell for cell in field.scored if not math.isnan(cell.cost(key))]
    if len(priced) < 2:
        return None
    rank = {id(cell): place for place, cell in enumerate(field.scored, 1)}
    on_front = {id(cell) for cell in front}
    kept = list({id(cell): cell for cell in [*sample(priced), *front]}.values())
    top, bottom = 26.0, 246.0
    y = Scale.over([cell.mean(field.metric) for cell in kept], bottom, top, log=False, margin=0.1)
    left = 16 + max(text_width(tick(value), 12) for value in y.ticks())
    named = len(kept) <= 40
    numbered = named or len(front) <= 12
    shown = sorted(front, key=lambda cell: rank[id(cell)])[:_NAMED] if numbered else []
    labels = [field.label(cell) for cell in shown]
    names = [lines_of(label, WIDTH - left - 30, labels) for label in labels]
    more = f"… and {len(front) - len(shown):,} more" if shown and len(front) > len(shown) else ""
    legend = sum(5 + _LINE * len(lines) for lines in names) + (_LINE if more else 0)
    drawing = Drawing(WIDTH, bottom + 44 + (12 + legend if shown else 0), f"{field.metric} against {COSTS[key][0]}")
    costs = [cell.cost(key) for cell in kept]
    x = Scale.over(costs, left + 4, WIDTH - 18, log=None, margin=0.08)
    y_axis(drawing, y, left, WIDTH - 18)
    drawing.text(4, 13, field.metric, "grey", 12)
    x_axis(drawing, x, top, bottom, COST_NAMES[key] + (", logarithmic" if x.log else ""))
    corners: list[tuple[float, float]] = []
    for cell in front:  # stairs: each step is what the money buys
        place = (x(cell.cost(key)), y(cell.mean(field.metric)))
        corners += [(place[0], corners[-1][1]), place] if corners else [place]
    if len(corners) > 1:
        drawing.line(corners, "mark", 1.6, 0.7)
    for cell in reversed(kept):
        place = (x(cell.cost(key)), y(cell.mean(field.metric)))
        best = id(cell) in on_front
        title = f"{rank[id(cell)]}. {field.label(cell)}: {number(cell.mean(field.metric))}, {short(cell.cost(key))}"
        if named or (best and numbered):
            drawing.dot(
                *place, 7 + 3 * len(str(rank[id(cell)])), "mark" if best else "c7", 1.0 if best else 0.75, title=title
            )
            drawing.text(place[0], place[1] + 4.2, str(rank[id(cell)]), "back", 11.5, "middle", bold=True)
        else:
            drawing.dot(*place, 5 if best else 3.5, "mark" if best else "c7", 1.0 if best else 0.4, title=title)
    at = bottom + 58
    for cell, lines in zip(shown, names, strict=True):
        drawing.text(left + 18, at + 4.5, str(rank[id(cell)]), "mark", anchor="end", bold=True)
        for line in lines:
            drawing.text(left + 28, at + 4.5, line)
            at += _LINE
        at += 5
    if more:
        drawing.text(left + 28, at + 4.5, more, "grey")
    return drawing


COST_NAMES = {
    "parameters": "parameters",
    "trainable_parameters": "trainable parameters",
    "flops_per_example": "FLOPs an example",
    "seconds": "seconds a run",
    "examples_per_second": "examples a second (more is better)",
    "peak_memory_mb": "peak memory in MB",
}


def all_charts(field: Field, effects: Sequence[Effect]) -> Iterator[tuple[str, str, str, Drawing]]:
    """Yield every chart that has something to show: file name, title, caption, drawing."""
    drawing = intervals(field)
    if drawing:
        more = f" The best {_ROWS} of {len(field.scored):,} cells." if len(field.scored) > _ROWS else ""
        how = "by resampling" if field.bootstrap else "Student’s t"
        told = "Orange: the best. " + (
            "Blue: no significant difference. "
            if any(verdict.word == UNCLEAR for verdict in field.verdicts) and not field.chosen
            else ""
        )
        yield (
            "intervals",
            "Mean and 95 % interval",
            f"{told}Dots are seeds, the bar is the interval ({how}).{more}",
            drawing,
        )
    by_cell = [(cell, {usual_name(n): c for n, c in curves(cell).items()}) for cell in field.scored[:_LINES]]
    more = f" The best {_LINES} cells." if len(field.scored) > _LINES else ""
    for name in curves_of_interest(field.metric):
        drawing = learning_curves(field, by_cell, name)
        if drawing:
            caption = f"Line: mean over seeds. Band: from the lowest to the highest seed.{more}"
            yield f"curves_{name.replace('/', '_')}", f"{name} over the epochs", caption, drawing
    for key in field.varying_costs():
        drawing = cost_and_metric(field, key)
        if drawing:
            many = f" {DOTS} of {len(field.scored):,} cells." if len(field.scored) > DOTS else ""
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
        many = f" {DOTS} of {len(field.scored):,} cells." if len(field.scored) > DOTS else ""
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
