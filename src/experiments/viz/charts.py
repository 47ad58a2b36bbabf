"""Plain charts: lines against one another, bars, distributions, a table of values as colours."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from experiments.viz.canvas import BLUE, GREEN, GREY, INK, ORANGE, PALE, RED, SMALL, TEXT, add_axes, figure, quiet

COLOURS = (BLUE, ORANGE, GREEN, RED, INK, GREY)


def lines(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    x: str,
    y: str,
    *,
    title: str,
    note: str = "",
    logarithmic: bool = False,
) -> Figure:
    """Return some curves in one panel, each named at its side.

    Args:
        series: a name, and its x and y values.
        x: what stands below.
        y: what stands above.
        logarithmic: the horizontal axis.
    """
    width, height = 9.5, 5.6
    fig = figure(width, height, title, note)
    ax = add_axes(fig, 0.85, 0.75, width - 3.2, height - 1.75)
    quiet(ax)
    for number, (name, (xs, ys)) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        ax.plot(xs, ys, color=colour, linewidth=2.2, marker="o" if len(xs) <= 30 else "", markersize=5)
        place = height - 1.15 - 0.32 * number
        fig.text((width - 2.2) / width, place / height, f"● {name}", fontsize=TEXT, color=colour, va="center")
    if logarithmic:
        ax.set_xscale("log")
    ax.set_xlabel(x, fontsize=SMALL, color=INK)
    ax.text(0, 1.05, y, transform=ax.transAxes, fontsize=TEXT, color=INK, weight="bold")
    return fig


def bars(values: Sequence[float], x: str, y: str, *, title: str, note: str = "", pale: Collection[int] = ()) -> Figure:
    """Return a bar a value, in the order given; those whose numbers are in `pale` stand back."""
    width, height = 9.5, 4.8
    fig = figure(width, height, title, note)
    ax = add_axes(fig, 0.85, 0.75, width - 1.1, height - 1.75)
    quiet(ax)
    ax.bar(range(len(values)), values, color=[PALE if place in pale else BLUE for place in range(len(values))])
    for place in pale:
        ax.text(place, values[place], "×", fontsize=SMALL, color=RED, ha="center", va="bottom")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.set_xlabel(x, fontsize=SMALL, color=INK)
    ax.text(0, 1.05, y, transform=ax.transAxes, fontsize=TEXT, color=INK, weight="bold")
    return fig


def named_bars(values: Mapping[str, float], x: str, *, title: str, note: str = "") -> Figure:
    """Return a bar for each name, lying, with its number behind it."""
    width, height = 9.5, 1.9 + 0.5 * len(values)
    fig = figure(width, height, title, note)
    ax = add_axes(fig, 1.9, 0.75, width - 2.9, height - 1.75)
    quiet(ax)
    ax.barh(range(len(values)), list(values.values()), color=BLUE, height=0.62)
    for place, value in enumerate(values.values()):
        ax.text(value, place, f" {value:,g}", fontsize=TEXT, color=INK, va="center", clip_on=False)
    ax.set_yticks(range(len(values)), list(values), fontsize=TEXT, color=INK)
    ax.invert_yaxis()
    ax.set_xlabel(x, fontsize=SMALL, color=INK)
    return fig


def distributions(
    groups: Mapping[str, Sequence[float]], x: str, *, title: str, note: str = "", threshold: float | None = None
) -> Figure:
    """Histograms over one another, each to an area of one, and a threshold as a line."""
    width, height = 9.5, 4.8
    fig = figure(width, height, title, note)
    ax = add_axes(fig, 0.4, 0.75, width - 2.8, height - 1.55)
    quiet(ax)
    everything = np.concatenate([np.asarray(values, float) for values in groups.values()])
    edges = np.linspace(everything.min(), np.quantile(everything, 0.995) + 1e-12, 50)
    for number, (name, values) in enumerate(groups.items()):
        colour = COLOURS[number % len(COLOURS)]
        ax.hist(np.asarray(values, float), bins=edges, density=True, color=colour, alpha=0.55)  # type: ignore[arg-type]
        place = height - 1.1 - 0.32 * number
        fig.text((width - 2.2) / width, place / height, f"● {name}", fontsize=TEXT, color=colour, va="center")
    if threshold is not None:
        ax.axvline(threshold, color=INK, linewidth=1.6, linestyle="--")
        ax.text(
            threshold, 1.02, "threshold", transform=ax.get_xaxis_transform(), fontsize=SMALL, color=INK, ha="center"
        )
    ax.set_yticks([])
    ax.set_xlabel(x, fontsize=SMALL, color=INK)
    return fig


def heat(values: Tensor, rows: Sequence[str], x: str, *, title: str, note: str = "") -> Figure:
    """Return a matrix as colours, from 0 (dark) to its largest value.

    Args:
        values: (rows, columns), at least 0.
        rows: names.
        x: what the columns are.
    """
    width, height = 10.0, min(1.5 + 0.34 * len(rows), 12.0)
    fig = figure(width, height, title, note)
    ax = add_axes(fig, 1.5, 0.6, width - 1.8, height - 1.3)
    ax.imshow(values.detach().float().cpu().numpy(), aspect="auto", cmap="inferno", vmin=0, interpolation="nearest")
    ax.set_yticks(range(len(rows)), rows, fontsize=SMALL, color=INK)
    ax.tick_params(labelsize=SMALL, length=0, colors=INK)
    ax.set_xlabel(x, fontsize=SMALL, color=INK)
    return fig
