"""A convolution over several channels: one map a channel, and their sum."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from experiments.viz.board import Board, Grid, Sign, Step, short


def board(
    images: Sequence[np.ndarray], weights: Sequence[np.ndarray], maps: Sequence[np.ndarray], options: argparse.Namespace
) -> Board:
    """Return the convolution of each channel with its own filter, and the sum of their maps with the bias.

    Args:
        images: padded, of one size.
        weights: a filter a channel.
        maps: what each gives.
        options: of the command.
    """
    steps = [
        Step(
            f"Channel {number}: its own filter, laid on at every place",
            [Grid(image, "image"), Sign("∗"), Grid(kernel, "filter"), Sign("="), Grid(feature_map, f"map {number}")],
        )
        for number, (image, kernel, feature_map) in enumerate(zip(images, weights, maps, strict=True), 1)
    ]
    result = np.sum(maps, axis=0) + options.bias
    added = [
        part for number, feature_map in enumerate(maps, 1) for part in (Sign("+"), Grid(feature_map, f"map {number}"))
    ][1:]
    bias = [Sign(f"+ {short(options.bias)}")] if options.bias else []
    first = " + ".join(short(float(feature_map[0, 0])) for feature_map in maps)
    steps.append(
        Step(
            "Add the maps: one filter gives one map, however many channels it reads",
            [*added, *bias, Sign("="), Grid(result, "result", marked=dict.fromkeys(np.ndindex(*result.shape), 1))],
            [f"upper left: {first}{f' + {short(options.bias)}' if options.bias else ''} = {short(float(result[0, 0]))}"],
        )
    )  # fmt: skip
    note = ", ".join(f"{name} {getattr(options, name)}" for name in ("stride", "padding", "dilation"))
    return Board(f"Convolution of {len(images)} channels", note, steps)
