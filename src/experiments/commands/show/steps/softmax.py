"""Softmax with temperature: scores become chances."""

from __future__ import annotations

import argparse

import numpy as np

from experiments.commands.show.steps.numbers import require_above, row
from experiments.errors import UserError
from experiments.viz.board import Board, Grid, Sign, Step, short

SCORES, CLASSES = "2 1 0.1", "cat,dog,bird"
ABOUT = """\
Draws how scores become chances that add up to 1, and what a temperature does: below 1 it sharpens them, above 1 it
evens them out.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--scores", default=SCORES, metavar="NUMBERS", help=f'"{SCORES}"')
    parser.add_argument("--classes", metavar="NAMES", help=f"one a score, with commas; {CLASSES}")
    parser.add_argument(
        "--temperature", default="1", metavar="NUMBERS", help='one, or several side by side: "0.5 1 2" (1)'
    )


def board(options: argparse.Namespace) -> Board:
    """Return the computation.

    Raises:
        UserError: names and scores are not equally many, or a temperature is not above 0.
    """
    scores = row("--scores", options.scores, least=2)
    usual = CLASSES if options.scores == SCORES else ",".join(map(str, range(len(scores))))
    names = [name.strip() for name in (options.classes or usual).split(",")]
    if len(names) != len(scores):
        raise UserError(f"--classes has {len(names)} names and --scores {len(scores)} numbers: give one name a score")
    temperatures = row("--temperature", options.temperature, most=5)
    for temperature in temperatures:
        require_above("--temperature", temperature, 0, strictly=True)
    steps, chances = [], []
    for heat in temperatures:
        divided = np.array(scores) / heat
        powers = np.exp(divided - divided.max()) if divided.max() > 700 else np.exp(divided)
        shifted = " (the largest taken away first, as every library does)" if divided.max() > 700 else ""
        total = float(powers.sum())
        chances.append(powers / total)
        columns = [Grid([[score] for score in scores], "score", rows=names)]
        if heat != 1:
            columns.append(Grid([[value] for value in divided], f"÷ {short(heat)}"))
        columns += [
            Grid([[power] for power in powers], "eˣ"),
            Grid([[share] for share in powers / total], "÷ sum", shaded=True),
        ]
        items = [part for column in columns for part in (column, Sign("→"))][:-1]
        sums = [
            f"{' + '.join(short(float(power)) for power in powers)} = {short(total)}{shifted}",
            *(f"{name}: {short(float(p))} ÷ {short(total)} = {short(float(p) / total)}" for name, p in zip(names, powers, strict=True)),
        ]  # fmt: skip
        steps.append(Step(f"Softmax at temperature {short(heat)}", items, sums))
    if len(temperatures) > 1:
        heats = [f"T = {short(degree)}" for degree in temperatures]
        steps.append(Step("Side by side", [Grid(np.array(chances).T, "", rows=names, columns=heats, shaded=True)]))
    return Board("Softmax: from scores to chances", f"{len(scores)} classes", steps)
