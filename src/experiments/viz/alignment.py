"""The alignment of speech: the spectrogram, and below it the probabilities of the symbols at the same times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from experiments.viz.canvas import BLUE, GREEN, GREY, INK, ORANGE, PALE, RED, SMALL, TEXT, add_axes, figure, quiet
from experiments.viz.labels import shorten

COLOURS = (BLUE, ORANGE, GREEN, RED, "#cc79a7", "#56b4e9", "#8c6d31", "#7b4fa3")
CERTAIN = 0.3  # probability from which a symbol is named


def alignment(
    panels: Sequence[tuple[Tensor, Tensor, float, str]],
    symbols: Sequence[str],
    *,
    title: str = "Spectrogram and alignment",
) -> Figure:
    """Return a pair of panels a recording.

    Args:
        panels: of each, features (frames, bands), probabilities (steps, symbols), its length in seconds, and a text
            to stand above, such as what was heard.
        symbols: names of the symbols; the first is the blank.
    """
    width, tall, low = 11.0, 1.5, 1.05
    each = tall + low + 0.95
    height = 0.7 + each * len(panels) + 0.35
    fig = figure(width, height, title, "probability of each symbol; the blank in grey")
    for number, (features, chances, seconds, text) in enumerate(panels):
        top = height - 0.95 - number * each
        above = add_axes(fig, 0.75, top - tall, width - 1.0, tall)
        above.imshow(
            features.float().numpy().T,
            origin="lower",
            aspect="auto",
            cmap="magma",
            extent=(0, seconds, 0, features.shape[1]),
            interpolation="nearest",
        )
        above.set_xticks([])
        above.set_yticks([])
        above.spines[:].set_visible(False)
        above.set_ylabel("frequency", fontsize=SMALL, color=GREY)
        above.text(0, 1.04, shorten(text, 100), transform=above.transAxes, fontsize=TEXT, color=INK, weight="bold")
        below = add_axes(fig, 0.75, top - tall - 0.06 - low, width - 1.0, low)
        _symbols(below, chances.float().numpy(), symbols, seconds)
        if number == len(panels) - 1:
            below.set_xlabel("seconds", fontsize=SMALL, color=INK)
    return fig


def _symbols(ax: Any, chances: np.ndarray, symbols: Sequence[str], seconds: float) -> None:
    quiet(ax)
    ax.set_xlim(0, seconds)
    ax.set_ylim(0, 1.28)
    ax.set_yticks([0, 1])
    time = (np.arange(len(chances)) + 0.5) * seconds / max(len(chances), 1)
    ax.plot(time, chances[:, 0], color=PALE, linewidth=1.2)
    best = chances.argmax(1)
    for place in range(1, chances.shape[1]):
        if chances[:, place].max() < CERTAIN:
            continue
        colour = COLOURS[place % len(COLOURS)]
        ax.plot(time, chances[:, place], color=colour, linewidth=1.6)
        # Each run of steps in which it is the best is named once, at its peak.
        runs = np.flatnonzero(np.diff(np.concatenate([[0], best == place, [0]])))
        for begin, end in zip(runs[::2], runs[1::2], strict=True):
            peak = begin + int(chances[begin:end, place].argmax())
            name = "␣" if symbols[place] == " " else symbols[place]
            ax.text(time[peak], 1.05, name, fontsize=TEXT, color=colour, ha="center", weight="bold")
