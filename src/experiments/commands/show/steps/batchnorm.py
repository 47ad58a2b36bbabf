"""Batch normalisation of a small batch: each column to mean 0 and deviation 1, then scaled and shifted."""

from __future__ import annotations

import argparse

import numpy as np

from experiments.commands.show.steps import bracketed
from experiments.commands.show.steps.numbers import matrix, require_above, row
from experiments.errors import UserError
from experiments.viz.board import Board, Grid, Sign, Step, short

BATCH = "1 50; 2 60; 3 70; 6 100"
ABOUT = """\
Draws batch normalisation: a row an example, a column a channel. Each channel is brought to mean 0 and deviation 1 over
the batch, then multiplied by gamma and shifted by beta, which are learned.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--batch", "--x", default=BATCH, metavar="ROWS", help=f'"{BATCH}"')
    parser.add_argument("--gamma", metavar="NUMBERS", help="one a channel (ones)")
    parser.add_argument("--beta", metavar="NUMBERS", help="one a channel (zeros)")
    parser.add_argument("--eps", type=float, default=1e-5, metavar="X", help="added to the variance (0.00001)")


def board(options: argparse.Namespace) -> Board:
    """Return the computation.

    Raises:
        UserError: there is one example, or gamma and beta do not fit.
    """
    batch = matrix("--batch", options.batch)
    require_above("--eps", options.eps, 0)
    if len(batch) < 2:
        raise UserError(f'--batch "{options.batch}" has one example, which has no deviation: give two rows or more')
    channels = batch.shape[1]
    gamma = np.array(row("--gamma", options.gamma, channels, channels) if options.gamma else [1.0] * channels)
    beta = np.array(row("--beta", options.beta, channels, channels) if options.beta else [0.0] * channels)
    mean, variance = batch.mean(axis=0), batch.var(axis=0)
    deviation = np.sqrt(variance + options.eps)
    normal = np.divide(batch - mean, deviation, out=np.zeros_like(batch), where=deviation > 0)
    examples = [f"example {number}" for number in range(1, len(batch) + 1)]
    names = [f"channel {number}" for number in range(1, channels + 1)]
    first = batch[:, 0]
    return Board(
        "Batch normalisation",
        f"{len(batch)} examples, {channels} channels",
        [
            Step(
                "Mean and deviation of each channel over the batch",
                [
                    Grid(batch, "batch", rows=examples, columns=names),
                    Sign("→"),
                    Grid([mean, variance, deviation], "", rows=("mean", "variance", "deviation"), columns=names),
                ],
                [
                    f"mean of channel 1: ({' + '.join(bracketed(float(value)) for value in first)}) ÷ {len(first)} = {short(float(mean[0]))}",
                    f"its variance: ({' + '.join(f'{bracketed(float(value - mean[0]))}²' for value in first)}) ÷ {len(first)} = {short(float(variance[0]))}",
                ],
            ),
            Step(
                "Take the mean away, divide by the deviation",
                [Grid(normal, "normalised", rows=examples, columns=names)],
                [f"example 1, channel 1: ({short(float(first[0]))} − {bracketed(float(mean[0]))}) ÷ {short(float(deviation[0]))} = {short(float(normal[0, 0]))}"],
            ),
            Step(
                "Scale and shift by what the network learned",
                [
                    Grid([gamma, beta], "", rows=("gamma", "beta"), columns=names),
                    Sign("→"),
                    Grid(normal * gamma + beta, "output", rows=examples, columns=names),
                ],
                ["In a test the mean and the variance are those that were averaged over the training batches."],
            ),
        ],
    )  # fmt: skip
