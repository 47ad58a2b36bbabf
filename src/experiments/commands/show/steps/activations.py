"""Activation functions side by side: what each makes of the same numbers, and how steep it is there."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import numpy as np

from experiments.commands.show.steps.numbers import row
from experiments.errors import UserError
from experiments.viz.board import Board, Curve, Grid, Step, short

VALUES = "-3 -1 -0.5 0 0.5 1 3"
ABOUT = """\
Draws what ReLU, leaky ReLU, sigmoid, tanh and GELU make of numbers, and their slopes: where a slope is near zero, a
layer below learns slowly.
"""


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


# Name: the formula, the function, its slope.
FUNCTIONS: dict[str, tuple[str, Callable[[float], float], Callable[[float], float]]] = {
    "relu": ("max(0, x)", lambda x: max(0.0, x), lambda x: float(x > 0)),
    "leaky_relu": ("max(0.01·x, x)", lambda x: max(0.01 * x, x), lambda x: 1.0 if x > 0 else 0.01),
    "sigmoid": ("1 ÷ (1 + e⁻ˣ)", _sigmoid, lambda x: _sigmoid(x) * _sigmoid(-x)),
    "tanh": ("(eˣ − e⁻ˣ) ÷ (eˣ + e⁻ˣ)", math.tanh, lambda x: 1 - math.tanh(x) ** 2),
    "gelu": (
        "x · Φ(x)",
        lambda x: x * 0.5 * (1 + math.erf(x / math.sqrt(2))),
        lambda x: 0.5 * (1 + math.erf(x / math.sqrt(2))) + x * math.exp(-x * x / 2) / math.sqrt(2 * math.pi),
    ),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--values", "--x", default=VALUES, metavar="NUMBERS", help=f'"{VALUES}"')
    parser.add_argument(
        "--kind",
        default="",
        metavar="NAMES",
        help=f"some of {','.join(FUNCTIONS)}; default: all, of `show relu` ReLU alone, and so for each",
    )


def board(options: argparse.Namespace) -> Board:
    """Return the computation.

    Raises:
        UserError: a function is unknown.
    """
    values = row("--values", options.values)
    usual = options.name if options.name in FUNCTIONS else ",".join(FUNCTIONS)
    names = [name for name in (options.kind or usual).split(",") if name]
    if unknown := [name for name in names if name not in FUNCTIONS]:
        raise UserError(f"--kind {unknown[0]} is unknown: choose among {', '.join(FUNCTIONS)}")
    reach = max(4.0, *(abs(value) for value in values))
    line = np.linspace(-reach, reach, 201)
    steps = []
    for name in names:
        formula, function, slope = FUNCTIONS[name]
        after = [function(value) for value in values]
        points = list(zip(values, after, strict=True))
        table = Grid([values, after, [slope(value) for value in values]], "", rows=("x", f"{name}(x)", "slope"))
        curve = Curve(line, np.array([function(float(x)) for x in line]), name, sorted(points))
        where = max(range(len(values)), key=lambda place: abs(values[place]))
        steps.append(
            Step(
                f"{name}(x) = {formula}",
                [table, curve],
                [
                    f"at x = {short(values[where])}: {name} gives {short(after[where])}, its slope is {short(slope(values[where]))}"
                ],
            )
        )
    return Board("ReLU and what came before and after it" if len(names) > 1 else names[0], "", steps)
