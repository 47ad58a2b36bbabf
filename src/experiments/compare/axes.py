"""The axes of a chart: from values to places, round numbers along them, and texts that fit."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise

from experiments.compare.analysis import SEPARATOR
from experiments.compare.vector_drawing import Drawing
from experiments.compare.wording import MINUS
from experiments.viz.labels import shorten

WIDTH = 400.0


def text_width(text: str, size: float = 13) -> float:
    """About how wide a text will be; generous."""
    return 0.57 * size * len(text)


def cut(text: str, width: float, size: float = 13, among: Iterable[str] = ()) -> str:
    """Return a text that fits into a width, with an ellipsis; told from the others `among` which it stands, where that
    can be.
    """
    return shorten(text, _letters(width, size), among)


def lines_of(label: str, width: float, among: Iterable[str] = (), size: float = 13) -> list[str]:
    """Return the name of a cell, one `among` others, in lines that fit into a width, broken between its choices."""
    others = [choice for other in among for choice in other.split(SEPARATOR)]
    lines: list[str] = []
    for choice in label.split(SEPARATOR):
        short = cut(choice, width, size, others)
        if lines and len(lines[-1] + SEPARATOR + short) <= _letters(width, size):
            lines[-1] += SEPARATOR + short
        else:
            lines.append(short)
    return lines


def _letters(width: float, size: float) -> int:
    return max(int(width / (0.57 * size)), 2)


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
                candidates = [step * 10.0**power for power in powers for step in steps]
                candidates = [value for value in candidates if self.low <= value <= self.high]
                if 2 <= len(candidates) <= most:
                    return candidates
            if len(candidates) > most:
                return candidates[:: math.ceil(len(candidates) / most)]
            if len(candidates) >= 2:
                return candidates
        rough = (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        count = math.floor(self.high / step + 1e-9) - first + 1
        return [(first + place) * step for place in range(count)]


def tick(value: float) -> str:
    """Return the shortest text of a round number; from 10^15 on a power of ten."""
    if abs(value) >= 1e15:
        return f"{value:g}".replace("e+", "e").replace("-", MINUS)
    for limit, unit in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= limit:
            return f"{value / limit:.6g}{unit}".replace("-", MINUS)
    return f"{value:.10g}".replace("-", MINUS)


def x_axis(drawing: Drawing, scale: Scale, top: float, bottom: float, label: str, levels: Iterable[float] = ()) -> None:
    """A horizontal axis: faint lines, numbers and its name below; the numbers are the levels, where their texts fit."""
    there = sorted(set(levels))
    apart = [scale(after) - scale(before) for before, after in pairwise(there)]
    wide = [text_width(tick(value), 12) for value in there]
    fits = apart and all(gap > (width + next_) / 2 for gap, (width, next_) in zip(apart, pairwise(wide), strict=True))
    for value in there if fits else scale.ticks():
        x = scale(value)
        drawing.line([(x, top), (x, bottom)], "pale")
        half = text_width(tick(value), 12) / 2
        drawing.text(min(max(x, half), drawing.width - half), bottom + 17, tick(value), "grey", 12, "middle")
    drawing.text((scale.start + scale.end) / 2, bottom + 35, label, "grey", 12, "middle")


def y_axis(drawing: Drawing, scale: Scale, left: float, right: float) -> None:
    """A vertical axis: faint lines and numbers to the left."""
    for value in scale.ticks():
        y = scale(value)
        drawing.line([(left, y), (right, y)], "pale")
        drawing.text(left - 7, y + 4, tick(value), "grey", 12, "end")
