"""`experiments lr`: a learning-rate range test by Lightning's Tuner, with a picture."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from experiments.commands.run_or_config import bare_trainer, built, config_of
from experiments.config.signatures import is_a
from experiments.errors import UserError, as_typed
from experiments.system.arguments import Parser
from experiments.system.terminal import fancy

_ABOUT = """\
Trains for some steps while the learning rate grows, and draws the loss over it (Smith, 2017). The suggestion is where the
loss falls fastest, at most a tenth of the rate where it is lowest; where it rises again the rate is too high. Nothing of
it is kept but the picture.
"""


_SMOOTHING = 0.98  # of the Tuner's losses
_WIDTH = 0.03  # of our own smoothing: the deviation of the bell that weights neighbours, of all steps


def main(words: list[str]) -> int:
    """Prints the suggestion and writes the picture.

    Raises:
        UserError: for a config that cannot run, and where no rate can be suggested.
    """
    parser = Parser("experiments lr", _ABOUT)
    parser.add_argument("words", nargs="*", metavar="RUN|key=value", help="a run, or model=… data=… and other keys")
    parser.add_argument("--min", type=float, default=1e-6, help="the first rate (1e-6)")
    parser.add_argument("--max", type=float, default=1.0, help="the last rate (1)")
    parser.add_argument("--steps", type=int, default=100, metavar="N", help="steps from one to the other (100)")
    parser.add_argument("--to", type=Path, metavar="FILE", help="the picture (default: lr.png, in the run's folder where there is one)")  # fmt: skip
    options = parser.parse_args(words)
    if not 0 < options.min < options.max < math.inf:
        raise UserError(
            f"--min {options.min:g} and --max {options.max:g} must be above 0 and grow: try --min 1e-6 --max 1"
        )
    if options.steps < 10:
        raise UserError(f"--steps {options.steps} must be 10 or more: try --steps 100")
    if not fancy(sys.stderr):
        os.environ.setdefault("TQDM_DISABLE", "1")  # read by the Tuner's bar
    config, folder = config_of(options.words)
    rates, losses, suggestion = range_test(config, options.min, options.max, options.steps)
    path = options.to or (folder or Path()) / "lr.png"
    try:
        path.write_bytes(
            picture(rates, losses, suggestion, str(config.run.choices.get("model") or config.run.choices.get("task")))
        )
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}): choose another with --to FILE") from error
    if suggestion is None:
        print("no rate suggests itself: the loss does not fall; look at the picture, or try --steps 300")
    else:
        print(f"suggested    optimizer.lr={suggestion:.2g}")
        print(f"lowest loss  {min(losses):.4g} at {rates[losses.index(min(losses))]:.2g}")
    if config.run.choices.get("optimizer") and config.optimizer.get("lr"):
        print(f"the config   optimizer.lr={config.optimizer.lr:g}")
    print(f"picture      {as_typed(path)}")
    return 0


def range_test(config: Any, low: float, high: float, steps: int) -> tuple[list[float], list[float], float | None]:
    """Rates, smoothed losses, and the rate to take; None where none suggests itself.

    Raises:
        UserError: where the module has no learning rate to change.
    """
    if is_a(str(config.task.get("_target_")), ("PolicyGradient",)):
        raise UserError(
            "a policy that learns from rewards has no loss that falls as it gets better, so no rate can be read from it: sweep over "
            "optimizer.lr=1e-4,3e-4,1e-3 and compare the returns"
        )
    data, task, freezing = built(config)
    from lightning.pytorch.tuner.tuning import Tuner

    from experiments.run.foreign import is_ours, lightning_in_words

    if not any(parameter.requires_grad for parameter in task.parameters()):
        name = config.run.choices.get("model") or config.run.choices.get("task")
        raise UserError(f"model={name} learns nothing by gradients, so there is no rate to find: choose another model")
    if is_ours(config.task):
        task.lr = float(config.optimizer.get("lr") or low)  # which the Tuner wants to see, and sets
    elif not any(hasattr(place, name) for place in (task, task.hparams) for name in ("lr", "learning_rate")):
        raise UserError(
            f"{type(task).__name__} has no attribute lr or learning_rate that could be changed: give it one"
        )
    if not fancy(sys.stderr):  # elsewhere the Tuner's bar tells
        print(f"training {steps} steps while the learning rate grows …", file=sys.stderr, flush=True)
    trainer = bare_trainer(config, freezing, max_epochs=-1, max_steps=steps, default_root_dir=_scratch())
    with lightning_in_words():
        finder = Tuner(trainer).lr_find(task, datamodule=data, min_lr=low, max_lr=high, num_training=steps, update_attr=False)  # fmt: skip
    if finder is None or len(finder.results.get("lr", ())) < 4:
        raise UserError("the range test ended after fewer than four steps: lower --min, or give more data")
    rates = [float(rate) for rate in finder.results["lr"]]
    return rates, *suggested(rates, _each_step(finder.results["loss"]))


def suggested(rates: Sequence[float], losses: Sequence[float]) -> tuple[list[float], float | None]:
    """Smoothed losses, and the rate where they fall fastest, at most a tenth of that where they are lowest.

    A batch's loss says little of its rate, so neighbours are averaged, to both sides; Lightning's mean over the past begins
    with single batches and lags at the end. A loss that grows without bound counts as no more than noise above the first.

    Args:
        rates: growing.
        losses: of each step alone.

    Returns:
        No rate where the loss falls by no more than it differs between the first batches.
    """
    import numpy as np

    each, count = np.nan_to_num(np.array(losses), nan=np.inf), len(losses)
    first = each[: max(4, count // 4)]
    start = np.median(first)
    noise = 1.4826 * np.median(np.abs(first - start))  # the deviation, of values that are normally distributed
    width = max(1.0, _WIDTH * count)
    away = np.subtract.outer(np.arange(count), np.arange(count)) / width
    weights = np.exp(-(away**2) / 2)
    smooth = weights @ np.minimum(each, start + 3 * noise) / weights.sum(1)
    begin, lowest = int(2 * width), int(smooth.argmin())
    if lowest <= begin or start - smooth[lowest] <= noise:
        return smooth.tolist(), None
    fastest = begin + int(np.gradient(smooth)[begin : lowest + 1].argmin())
    return smooth.tolist(), min(rates[fastest], rates[lowest] / 10)


def _each_step(means: Sequence[float]) -> list[float]:
    """Return the loss of each step from Lightning's means over the past, which it divides by the weight of one step too many."""
    sums = [0.0, *(float(mean) * (1 - _SMOOTHING ** (step + 1)) for step, mean in enumerate(means, 1))]
    return [(now - _SMOOTHING * before) / (1 - _SMOOTHING) for before, now in pairwise(sums)]


def _scratch() -> str:
    """Return a folder that is gone when this process ends: the Tuner keeps the first weights in one."""
    import atexit
    import shutil
    import tempfile

    folder = tempfile.mkdtemp(prefix="experiments-lr-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def picture(rates: list[float], losses: list[float], suggestion: float | None, name: str) -> bytes:
    """Loss over the rate, as a PNG file."""
    from experiments.viz.canvas import BLUE, GREY, ORANGE, add_axes, figure, png

    fig = figure(8, 4.6, f"{name}: loss while the learning rate grows")
    ax = add_axes(fig, 0.9, 0.7, 6.8, 3.2)
    ax.plot(rates, losses, color=BLUE, linewidth=2)
    ax.set_xscale("log")
    if suggestion is not None:
        ax.axvline(suggestion, color=ORANGE, linestyle="--", linewidth=2)
        ax.text(suggestion, 0.96, f" {suggestion:.2g}", color=GREY, va="top", transform=ax.get_xaxis_transform())
    ax.set_xlabel("learning rate, logarithmic")
    ax.set_ylabel("loss, smoothed")
    ax.grid(alpha=0.3)
    return png(fig)
