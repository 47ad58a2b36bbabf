"""`experiments batch_size`: speed and memory by batch size, each measured in a process of its own, and the size to take."""

from __future__ import annotations

import sys

from experiments.callbacks.progress_screens import speed_figure, speed_in_words
from experiments.commands.benchmark import in_a_process
from experiments.errors import UserError
from experiments.system.arguments import Parser
from experiments.system.terminal import terminal_width

_ABOUT = """\
Trains on one batch of 8, 16, 32, … examples and prints examples a second and the peak of memory. The choice is the smallest
batch within 5 % of the best speed: larger ones take memory and gain nothing. A size that does not fit ends its own process only.
Without --largest it stops at 512, or before, after two sizes in a row that are no faster than a smaller one.
"""
_NEAR = 0.95  # of the best speed


def main(words: list[str]) -> int:
    """Prints the table and the choice.

    Raises:
        UserError: for a config that cannot run, and where no size could be measured.
    """
    parser = Parser("experiments batch_size", _ABOUT)
    parser.add_argument("words", nargs="*", metavar="key=value", help="model=… data=… and other keys of a run")
    parser.add_argument("--smallest", type=int, default=8, metavar="N", help="the first size (8)")
    parser.add_argument("--largest", type=int, metavar="N", help="the last size, reached in any case (512)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement (1)")
    options = parser.parse_args(words)
    largest = max(options.smallest, 512) if options.largest is None else options.largest
    if not 1 <= options.smallest <= largest:
        raise UserError(f"--smallest {options.smallest} and --largest {largest} must be 1 or more and grow: try --smallest 8 --largest 512")  # fmt: skip
    if not 0 < options.seconds < float("inf"):
        raise UserError(f"--seconds {options.seconds:g} must be a number above 0: try --seconds 1")
    from experiments.config.check import require
    from experiments.config.compose import compose

    require(compose([*options.words, f"data.batch_size={options.smallest}"]))
    measured: list[tuple[int, float, float]] = []
    size, why = options.smallest, ""
    while size <= largest:
        print(f"measuring data.batch_size={size} … ", end="", file=sys.stderr, flush=True)
        try:
            result = in_a_process([*options.words, f"data.batch_size={size}"], options.seconds)
        except UserError as error:
            print(file=sys.stderr)
            why = str(error)
            break
        measured.append((size, result["examples_per_second"], result["peak_megabytes"]))
        print(speed_in_words(measured[-1][1]), file=sys.stderr, flush=True)
        size *= 2
        if options.largest is None and _no_faster([speed for _, speed, _ in measured]):
            why = "the last two sizes were no faster than a smaller one; --largest N measures on"
            break
    if not measured:
        raise UserError(why)
    from experiments.viz.tables import table

    best = max(speed for _, speed, _ in measured)
    rows = [
        [str(batch), speed_figure(speed), f"{speed / best:.0%}", f"{memory:,.0f} MB"]
        for batch, speed, memory in measured
    ]
    print(table(["batch", "examples/s", "of the best", "peak memory"], rows, right=(0, 1, 2, 3), wide=terminal_width()))
    if why:
        print(f"stopped at {size}: {why}")
    chosen = next(batch for batch, speed, _ in measured if speed >= _NEAR * best)
    print(f"suggested    data.batch_size={chosen}")
    print("A larger batch takes fewer steps an epoch: try a higher learning rate with it, as experiments lr finds it.")
    return 0


def _no_faster(speeds: list[float]) -> bool:
    """Tell whether the last two of the speeds are below an earlier one."""
    return len(speeds) > 2 and max(speeds[-2:]) < max(speeds[:-2])
