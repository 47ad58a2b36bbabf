"""Windows of a series with what is made of them, as curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from experiments.viz.canvas import BLUE, GREY, INK, ORANGE, SMALL, TEXT, add_axes, figure, quiet
from experiments.viz.labels import shorten


def windows(
    lines: Mapping[str, Tensor], columns: Sequence[str], captions: Sequence[str] = (), *, title: str = ""
) -> Figure:
    """Return a row a column of the series, a panel a window.

    Args:
        lines: names and values (N, T, C) of one to three curves in each panel, the true one first, in the data's units.
        columns: names of the C columns.
        captions: what stands above each window, or nothing.
    """
    values = {name: series.detach().float().cpu().numpy() for name, series in lines.items()}
    across, steps, down = next(iter(values.values())).shape
    panel, tall = (8.4 if across == 1 else 4.6), (2.6 if down == 1 else 1.55)
    left, top = 0.85, 1.1
    width, height = max(left + across * panel + 0.1, 7.0), top + down * (tall + 0.28) + 0.5
    fig = figure(width, height, title)
    at = 0.2 + 0.148 * len(title) + 0.3
    for name, colour in zip(values, (INK, ORANGE, BLUE), strict=False):
        fig.text(at / width, 1 - 0.365 / height, f"● {name}", fontsize=TEXT, color=colour, va="center")
        at += 0.5 + 0.105 * len(name)
    for row, name in enumerate(columns):
        bottom = height - top - (row + 1) * (tall + 0.28) + 0.28
        for number in range(across):
            ax = add_axes(fig, left + number * panel, bottom, panel - 0.55, tall)
            quiet(ax)
            for place, (series, colour) in enumerate(zip(values.values(), (INK, ORANGE, BLUE), strict=False)):
                ax.plot(np.arange(steps), series[number, :, row], color=colour, linewidth=1.3 if place == 0 else 1.6)
            if number == 0:
                ax.text(0, 1.03, shorten(name, 24), transform=ax.transAxes, fontsize=SMALL, color=INK, weight="bold")
            if row == 0 and captions:
                ax.text(1, 1.03, captions[number], transform=ax.transAxes, fontsize=SMALL, color=GREY, ha="right")
            ax.margins(x=0.01, y=0.08)
            ax.locator_params(axis="y", nbins=4)
            ax.locator_params(axis="x", nbins=6, integer=True)
            if row == down - 1:
                ax.set_xlabel("steps", fontsize=SMALL, color=INK)
            else:
                ax.set_xticklabels([])
    return fig
