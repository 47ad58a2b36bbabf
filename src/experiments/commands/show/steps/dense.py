"""Flatten and dense: feature maps become one row, and each unit weighs all of it."""

from __future__ import annotations

import argparse

import numpy as np

from experiments.commands.show.steps import products
from experiments.commands.show.steps.numbers import maps, matrix, row
from experiments.errors import UserError
from experiments.viz.board import Board, Grid, Sign, Step, short

MAPS = "1 2; 3 4 | 5 6; 7 8"
WEIGHTS = "1 0 0 0 0 0 0 1; 0.5 0.5 0.5 0.5 -0.5 -0.5 -0.5 -0.5; 0 1 0 1 0 1 0 -1"
ABOUT = """\
Draws how feature maps are laid into one row (flatten), and how each unit of a dense layer adds that row up with its own
weights. Channels are separated by |.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--maps", "--x", default=MAPS, metavar="MAPS", help=f'"{MAPS}"')
    parser.add_argument("--weights", metavar="ROWS", help=f'a row a unit; "{WEIGHTS}"')
    parser.add_argument("--bias", metavar="NUMBERS", help="one a unit (zeros)")


def board(options: argparse.Namespace) -> Board:
    """Return the computation.

    Raises:
        UserError: weights or biases do not fit the maps.
    """
    channels = maps("--maps", options.maps)
    flat = np.concatenate([channel.ravel() for channel in channels])
    if len(flat) > 20:
        raise UserError(f"--maps has {len(flat)} numbers; more than 20 cannot be read: give smaller maps")
    size = f"{len(channels)} × {channels[0].shape[0]} × {channels[0].shape[1]}"
    given = options.weights
    if given is None and options.maps != MAPS:
        given = "; ".join(
            " ".join(str(1 / len(flat) if unit == 0 else float(place == 0)) for place in range(len(flat)))
            for unit in range(2)
        )
    weights = matrix("--weights", given or WEIGHTS)
    if weights.shape[1] != len(flat):
        raise UserError(
            f"--weights has rows of {weights.shape[1]} numbers and the maps have {len(flat)}: give {len(flat)} numbers in each row"
        )
    bias = row("--bias", options.bias, len(weights), len(weights)) if options.bias else [0.0] * len(weights)
    out = weights @ flat + np.array(bias)
    places = {(0, place): place // channels[0].size for place in range(len(flat))}
    whole = [
        Grid(channel, f"map {number}", marked=dict.fromkeys(np.ndindex(*channel.shape), number - 1))
        for number, channel in enumerate(channels, 1)
    ]
    names = [f"unit {number}" for number in range(1, len(weights) + 1)]
    return Board(
        "Flatten and dense",
        f"{size} → {len(flat)} → {len(weights)}",
        [
            Step(f"Flatten: {size} = {len(flat)} numbers in one row, nothing is lost", [*whole, Sign("→"), Grid([flat], "row", marked=places)]),
            Step("Dense: each unit has a weight for every number", [Grid(weights, "weights", rows=names), Sign("+"), Grid([[value] for value in bias], "bias")],
                 [f"{weights.size} weights and {len(weights)} biases: {weights.size + len(weights)} parameters"]),
            Step(
                "Multiply, add up, add the bias",
                [Grid([[value] for value in out], "output", rows=names, marked={(place, 0): 1 for place in range(len(out))})],
                [
                    f"{name} = {products(list(flat), list(unit), *([extra] if extra else []))} = {short(float(value))}"
                    for name, unit, extra, value in zip(names, weights, bias, out, strict=True)
                ],
            ),
        ],
    )  # fmt: skip
