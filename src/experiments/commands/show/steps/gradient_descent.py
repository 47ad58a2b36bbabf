"""Gradient descent on a line through points: prediction, error, gradient, update."""

from __future__ import annotations

import argparse

import numpy as np

from experiments.commands.show.steps import bracketed
from experiments.commands.show.steps.numbers import require_above, row
from experiments.errors import UserError
from experiments.viz.board import Board, Curve, Grid, Sign, Step, short

X, Y = "1 2 3", "2 4 6"
ABOUT = """\
Draws gradient descent for y = w·x: forward, error, gradient, update. The loss is the mean of squared errors.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--x", default=X, metavar="NUMBERS", help=f'inputs; "{X}"')
    parser.add_argument("--y", default=Y, metavar="NUMBERS", help=f'what should come out; "{Y}"')
    parser.add_argument("--w", type=float, default=0.0, metavar="X", help="the weight at the start (0)")
    parser.add_argument("--lr", type=float, default=0.1, metavar="X", help="learning rate (0.1)")
    parser.add_argument("--steps", type=int, default=1, metavar="N", help="how many, up to 12 (1)")


def board(options: argparse.Namespace) -> Board:
    """Return the computation.

    Raises:
        UserError: inputs and targets are not equally many, or the rate is not above 0.
    """
    x, y = np.array(row("--x", options.x)), np.array(row("--y", options.y))
    if len(x) != len(y):
        raise UserError(f"--x has {len(x)} numbers and --y {len(y)}: give one target an input")
    require_above("--lr", options.lr, 0, strictly=True)
    if not 1 <= options.steps <= 12:
        raise UserError(f"--steps {options.steps} must be 1 to 12: try --steps 5")
    lr, way, steps = options.lr, [options.w], []
    for number in range(1, options.steps + 1):
        w = way[-1]
        out, error = w * x, w * x - y
        gradient = float((2 * error * x).mean())
        way.append(w - lr * gradient)
        if not np.isfinite(way[-1]) or abs(way[-1]) > 1e12:
            raise UserError(f"--lr {lr:g} makes the weight grow without end: try --lr {lr / 10:g}")
        rows = ("x", "prediction w·x", "target y", "error", "2·error·x")
        inner = " + ".join(f"2·{bracketed(float(e))}·{bracketed(float(v))}" for e, v in zip(error, x, strict=True))
        steps.append(
            Step(
                f"Step {number}: forward, error, gradient" if options.steps > 1 else "Forward, error, gradient",
                [Grid([x, out, y, error, 2 * error * x], rows=rows)],
                [
                    f"loss = mean of error² = {short(float((error**2).mean()))}",
                    f"gradient = ({inner}) ÷ {len(x)} = {short(gradient)}",
                    f"w = {short(w)} − {short(lr)}·{bracketed(gradient)} = {short(way[-1])}",
                ],
            )
        )
    losses = [float(((w * x - y) ** 2).mean()) for w in way]
    best = float((x * y).sum() / (x * x).sum()) if x.any() else way[-1]
    reach = max(abs(best - value) for value in way) or 1.0
    line = np.linspace(best - 1.2 * reach, best + 1.2 * reach, 121)
    curve = Curve(
        line, np.array([((w * x - y) ** 2).mean() for w in line]), "loss by weight", list(zip(way, losses, strict=True)), ("w", "loss"),
        joined=True,
    )  # fmt: skip
    names = ["before", *(f"after {number}" for number in range(1, len(way)))]
    table = Grid(list(zip(way, losses, strict=True)), rows=names, columns=("w", "loss"))
    fell = (
        "fell"
        if losses[-1] < losses[0]
        else "rose: the learning rate is too large"
        if losses[-1] > losses[0]
        else "stayed"
    )
    steps.append(
        Step(
            "The loss before and after",
            [table, Sign(""), curve],
            [f"The loss {fell}. The best weight is {short(best)}."],
        )
    )
    return Board("Gradient descent on y = w·x", f"learning rate {short(lr)}", steps)
