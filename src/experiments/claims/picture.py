"""The picture of a verdict: what each side of each comparison gave, run by run, and the claim's curves where it has some."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import groupby

from experiments.claims.curves import ClaimCurve
from experiments.claims.verdict import FAILS, HOLDS, ClaimVerdict, Finding, Side
from experiments.claims.wording import effect, figure
from experiments.compare.axes import Scale, cut, text_width, x_axis, y_axis
from experiments.compare.vector_drawing import Drawing

_WIDTH, _ROW, _HEAD = 720.0, 26.0, 34.0
_CURVE = 330.0  # height of the curves
_LINES = ("c1", "c0", "c2", "c3", "c4", "c5", "c6", "c7")
COLOURS = {HOLDS: "c2", FAILS: "mark"}  # and grey where it cannot be told


def picture(verdict: ClaimVerdict, statement: str, words: Mapping[str, str] | None = None) -> Drawing:
    """Return a row a side, under a line that says what was found; a panel for each quantity.

    Args:
        statement: the claim.
        words: of another language for those of verdicts and comparisons, and for `logarithmic`.
    """
    words = words or {}
    panels = [list(some) for _, some in groupby(verdict.findings, key=lambda finding: finding.quantity)]
    lines = _wrapped(statement, _WIDTH - 16, 15)
    top = 18.0 + 20 * len(lines) + 18
    height = top + sum(52 + len(panel) * (_HEAD + 2 * _ROW) for panel in panels)
    height += _CURVE if verdict.curve else 0
    drawing = Drawing(_WIDTH, height, statement)
    for place, line in enumerate(lines):
        drawing.text(8, 20 + 20 * place, line, size=15, bold=True)
    colour = COLOURS.get(verdict.verdict, "grey")
    drawing.text(8, 20 + 20 * len(lines), words.get(verdict.verdict, verdict.verdict), colour, 15, bold=True)
    for panel in panels:
        top = _panel(drawing, panel, top, words)
    if verdict.curve:
        _curve(drawing, verdict.curve, top, words)
    return drawing


def _curve(drawing: Drawing, curve: ClaimCurve, top: float, words: Mapping[str, str]) -> None:
    """Draws a line through the means of each label, over a band from the least to the largest seed."""
    names = max(text_width(line.label) for line in curve.lines)
    left, right = 70.0, _WIDTH - min(names + 48, 260)
    drawing.text(8, top + 16, curve.title, bold=True)
    drawing.text(8, top + 36, curve.y + _scaled(curve.log, words), "grey", 12)
    upper, lower = top + 50, top + _CURVE - 60
    places = [x for line in curve.lines for x in line.x]
    values = [value for line in curve.lines for some in (line.y, line.low, line.high) for value in some]
    across = Scale(min(places), max(places), left, right)
    up = Scale.over([max(value, 1e-38) for value in values] if curve.log else values, lower, upper, curve.log)
    x_axis(drawing, across, upper, lower, curve.x)
    y_axis(drawing, up, left, right)
    dotted = max(len(line.x) for line in curve.lines) <= 20
    for row, (line, colour) in enumerate(zip(curve.lines, _LINES * len(curve.lines), strict=False)):
        edges = [
            [(across(x), up(max(value, up.low))) for x, value in zip(line.x, side, strict=True)]
            for side in (line.high, line.low)
        ]
        drawing.area([*edges[0], *reversed(edges[1])], colour, 0.15)
        points = [(across(x), up(max(value, up.low))) for x, value in zip(line.x, line.y, strict=True)]
        drawing.line(points, colour, 2.2)
        if dotted:
            for x, y in points:
                drawing.dot(x, y, 3.5, colour)
        y = upper + 12 + 22 * row
        drawing.dot(right + 20, y - 4.5, 5, colour)
        drawing.text(right + 32, y, cut(line.label, _WIDTH - right - 36), colour, bold=True)


def _scaled(log: bool, words: Mapping[str, str]) -> str:
    return f", {words.get('logarithmic', 'logarithmic')}" if log else ""


def _panel(drawing: Drawing, findings: Sequence[Finding], top: float, words: Mapping[str, str]) -> float:
    """Draws the comparisons of one quantity; gives where the next panel begins."""
    sides = [side for finding in findings for side in (finding.of, finding.against)]
    values = [value for side in sides for value in side.values.values()]
    left = 24 + min(max(text_width(side.label) for side in sides), 260)
    right = _WIDTH - 92
    log = None if any(finding.ratio for finding in findings) else False  # a difference is read off a linear axis
    scale = Scale.over([*values, *(side.mean for side in sides)], left + 8, right, log)
    bottom = top + len(findings) * (_HEAD + 2 * _ROW)
    x_axis(drawing, scale, top, bottom, findings[0].quantity + _scaled(scale.log, words))
    y = top
    for finding in findings:
        colour = COLOURS.get(finding.verdict, "grey")
        change = f"{effect(finding)}: {words.get(finding.verdict, finding.verdict)}"
        drawing.box(0, y + 4, _WIDTH, _HEAD - 10, "back", 0.9)
        drawing.text(_WIDTH - 8, y + 21, change, colour, anchor="end", bold=True, halo=True)
        room = _WIDTH - 40 - text_width(change)
        drawing.text(8, y + 21, cut(words.get(finding.say, finding.say), room), bold=True, halo=True)
        y += _HEAD
        for side, shade in ((finding.of, colour), (finding.against, "c7")):
            _side(drawing, side, scale, y + _ROW / 2, shade, left)
            y += _ROW
    return bottom + 52


def _side(drawing: Drawing, side: Side, scale: Scale, y: float, colour: str, left: float) -> None:
    drawing.text(left - 8, y + 4.5, cut(side.label, left - 16), anchor="end")
    drawing.text(_WIDTH - 8, y + 4.5, figure(side.mean), "grey", anchor="end")
    low, high = (min(max(end, scale.low), scale.high) for end in (side.low, side.high))
    if math.isfinite(side.low):
        drawing.box(scale(low), y - 5, max(scale(high) - scale(low), 2), 10, colour, 0.25)
    for value in side.values.values():
        drawing.dot(scale(value), y, 3, colour, 0.6)
    if scale.low <= side.mean <= scale.high:
        drawing.line([(scale(side.mean), y - 8), (scale(side.mean), y + 8)], colour, 3)


def _wrapped(text: str, width: float, size: float) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if text_width(longer, size) > width and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
