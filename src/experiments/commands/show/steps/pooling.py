"""Pooling step by step: each window of an image becomes one number."""

from __future__ import annotations

import argparse

import numpy as np

from experiments.commands.show.convolution import output_size
from experiments.commands.show.steps import bracketed
from experiments.commands.show.steps.numbers import matrix, require_above
from experiments.errors import UserError
from experiments.viz.board import Board, Grid, Sign, Step, short

IMAGE = "1 3 2 4; 5 6 1 2; 7 2 9 1; 3 4 5 6"
ABOUT = """\
Draws how pooling makes an image smaller: the largest number, or the mean, of each window.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--image", default=IMAGE, metavar="ROWS", help=f'"{IMAGE}"')
    parser.add_argument("--size", type=int, default=2, metavar="N", help="rows and columns of a window (2)")
    parser.add_argument("--stride", type=int, metavar="N", help="cells the window moves (its size)")
    parser.add_argument("--kind", choices=("max", "average", "both"), default="both", help="default: both")


def board(options: argparse.Namespace) -> Board:
    """Return the computation.

    Raises:
        UserError: the window does not fit.
    """
    image = matrix("--image", options.image)
    stride = options.size if options.stride is None else options.stride
    for name, value in (("--size", options.size), ("--stride", stride)):
        require_above(name, value, 1)
    if options.size > min(image.shape):
        raise UserError(
            f"--size {options.size} is larger than the image of {image.shape[0]} × {image.shape[1]}: try --size {min(image.shape)}"
        )
    rows, columns = (output_size(side, options.size, stride, 0, 1, "cells") for side in image.shape)
    places = [(row, column) for row in range(rows) for column in range(columns)]
    windows = {
        (row, column): image[
            row * stride : row * stride + options.size, column * stride : column * stride + options.size
        ]
        for row, column in places
    }
    steps = []
    for kind in ("max", "average") if options.kind == "both" else (options.kind,):
        result = np.array([[_pooled(windows[row, column], kind) for column in range(columns)] for row in range(rows)])
        marked = {
            (row * stride + down, column * stride + right): number
            for number, (row, column) in enumerate(places)
            for down in range(options.size)
            for right in range(options.size)
        }
        shown = stride >= options.size and len(places) <= 6  # windows that overlap have no colours of their own
        steps.append(
            Step(
                "Max pooling: the largest of each window"
                if kind == "max"
                else "Average pooling: the mean of each window",
                [
                    Grid(image, "image", marked=marked if shown else {}),
                    Sign("→"),
                    Grid(
                        result, "result", marked={place: number for number, place in enumerate(places)} if shown else {}
                    ),
                ],
                [_sum(windows[place], kind, float(result[place])) for place in places[:12]],
            )
        )
    note = f"{options.size} × {options.size} windows, stride {stride}"
    return Board(f"Pooling of a {image.shape[0]} × {image.shape[1]} image", note, steps)


def _pooled(window: np.ndarray, kind: str) -> float:
    return float(window.max() if kind == "max" else window.mean())


def _sum(window: np.ndarray, kind: str, value: float) -> str:
    if kind == "max":
        return f"max({', '.join(short(number) for number in window.flat)}) = {short(value)}"
    return f"({' + '.join(bracketed(number) for number in window.flat)}) ÷ {window.size} = {short(value)}"
