"""Forecasts beside the past and the truth, with a fan where there are quantiles; and errors by steps ahead."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from experiments.viz.canvas import BLUE, GREY, INK, ORANGE, SMALL, TEXT, add_axes, figure, quiet
from experiments.viz.labels import shorten

PAST_SHOWN = 2.0  # horizons, at most, of the past


def forecasts(
    windows: Sequence[tuple[Tensor, Tensor | None, Tensor]],
    columns: Sequence[str],
    quantiles: Sequence[float] = (),
    middle: int = 0,
    *,
    title: str = "Forecasts",
) -> Figure:
    """Return a row a column of the series, a panel a window.

    Args:
        windows: of each, past (H, C), truth (F, C) or None, and forecast (F, C, Q), all in the units of the data.
        columns: names; those of the first columns of the tensors.
        quantiles: what the Q forecasts are; none where there is one, a value.
        middle: place of the forecast among them.
    """
    across, down = len(windows), len(columns)
    panel, tall = (8.4 if across == 1 else 4.6), (2.6 if down == 1 else 1.55)
    left, top = 0.85, 0.95
    width, height = left + across * panel + 0.1, top + down * (tall + 0.28) + 0.5
    fig = figure(max(width, 7.0), height, title)
    truth_known = any(truth is not None for _, truth, _ in windows)
    legend = [("past", GREY), *([("truth", INK)] if truth_known else []), ("forecast", ORANGE)]
    if len(quantiles) > 1:
        legend.append((f"{quantiles[0]:.0%} to {quantiles[-1]:.0%}", "#f3cf80"))
    at = 0.2 + 0.148 * len(title) + 0.3
    for name, colour in legend:
        fig.text(at / max(width, 7.0), 1 - 0.365 / height, f"● {name}", fontsize=TEXT, color=colour, va="center")
        at += 0.5 + 0.105 * len(name)
    for row, name in enumerate(columns):
        bottom = height - top - (row + 1) * (tall + 0.28) + 0.28
        for number, (past, truth, forecast) in enumerate(windows):
            ax = add_axes(fig, left + number * panel, bottom, panel - 0.55, tall)
            _panel(ax, past[:, row], None if truth is None else truth[:, row], forecast[:, row], quantiles, middle)
            if number == 0:
                ax.text(0, 1.03, shorten(name, 24), transform=ax.transAxes, fontsize=SMALL, color=INK, weight="bold")
            if row == down - 1:
                ax.set_xlabel("steps from now", fontsize=SMALL, color=INK)
            else:
                ax.set_xticklabels([])
    return fig


def _panel(
    ax: Axes, past: Tensor, truth: Tensor | None, forecast: Tensor, quantiles: Sequence[float], middle: int
) -> None:
    quiet(ax)
    horizon = len(forecast)
    seen = past.float().cpu().numpy()[-max(int(PAST_SHOWN * horizon), 24) :]
    values = forecast.float().cpu().numpy()
    few = horizon <= 2
    # The last known value begins both lines, so that nothing hangs in the air.
    now = seen[-1:]
    for inner in range(len(quantiles) // 2):
        low, high = values[:, inner], values[:, len(quantiles) - 1 - inner]
        bottom, top = (np.concatenate([now, side]) for side in (low, high))
        ax.fill_between(np.arange(horizon + 1), bottom, top, color=ORANGE, alpha=0.22, linewidth=0)
    ax.plot(np.arange(1 - len(seen), 1), seen, color=GREY, linewidth=1.3)
    if truth is not None:
        values_known = truth.float().cpu().numpy()
        ax.plot(np.arange(horizon + 1), np.concatenate([now, values_known]), color=INK, linewidth=1.3)
    line = np.concatenate([now, values[:, middle]])
    ax.plot(np.arange(horizon + 1), line, color=ORANGE, linewidth=2.0, marker="o" if few else "", markersize=5)
    ax.axvline(0, color=GREY, linewidth=0.8, linestyle=(0, (2, 3)))
    ax.margins(x=0.01, y=0.08)
    ax.locator_params(axis="y", nbins=4)
    ax.locator_params(axis="x", nbins=6, integer=True)


def errors_by_step(mse: Sequence[float], mae: Sequence[float], *, title: str = "Error by steps ahead") -> Figure:
    """Mean squared and mean absolute error (of scaled values) at each step of the horizon."""
    width, height = 9.0, 4.4
    fig = figure(width, height, title)
    ax = add_axes(fig, 0.9, 0.75, width - 1.9, height - 1.5)
    quiet(ax)
    ahead = np.arange(1, len(mse) + 1)
    apart = 0.04 * max(*mse, *mae)  # names of lines that end together would lie on one another
    middle = (mse[-1] + mae[-1]) / 2
    for values, other, colour, name in ((mse, mae, BLUE, "MSE"), (mae, mse, ORANGE, "MAE")):
        ax.plot(ahead, values, color=colour, linewidth=2.2, marker="o" if len(mse) <= 12 else "", markersize=5)
        up = 1 if values[-1] > other[-1] or (values[-1] == other[-1] and name == "MSE") else -1
        at = middle + up * max(apart, abs(values[-1] - middle))
        ax.text(len(mse), at, f"  {name}", fontsize=TEXT, color=colour, va="center", weight="bold")
    ax.set_ylim(bottom=0)
    ax.margins(x=0.02)
    ax.locator_params(axis="x", nbins=8, integer=True)
    ax.set_xlabel("steps ahead", fontsize=SMALL, color=INK)
    return fig
