"""Loss and metrics over the epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, isfinite

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.viz.canvas import BLUE, INK, ORANGE, SMALL, TEXT, add_axes, figure, quiet

PARTS = {"train": BLUE, "val": ORANGE}
LOWER_IS_BETTER = ("loss", "error", "perplexity", "mae", "mse", "rmse", "mase", "smape", "wer", "cer")


def curves(history: Sequence[Mapping[str, float]], *, title: str = "Learning curves", most: int = 4) -> Figure:
    """One panel a quantity, train and validation together, the loss first; the best validation value is
    marked.

    Args:
        history: a row an epoch: `epoch`, and names such as `train/loss` and `val/accuracy`; a row may lack
            some.
        most: panels at most.
    """
    names = _quantities(history)[:most]
    columns = 1 if len(names) == 1 else 2
    rows = max(ceil(len(names) / columns), 1)
    width, height = (9.0 if columns == 1 else 12.0), 0.6 + 3.85 * rows
    fig = figure(width, height, title)
    for i, (part, colour) in enumerate(PARTS.items()):
        left = (0.2 + 0.148 * len(title) + 0.25 + 0.85 * i) / width
        fig.text(left, 1 - 0.365 / height, f"● {part}", fontsize=TEXT, color=colour, weight="bold", va="center")
    each = (width - 0.2) / columns
    for i, name in enumerate(names):
        bottom = height - 0.6 - 3.85 * (i // columns + 1) + 0.7
        ax = add_axes(fig, 0.85 + i % columns * each, bottom, each - 1.05, 2.6)
        _panel(ax, name, history)
    return fig


def _quantities(history: Sequence[Mapping[str, float]]) -> list[str]:
    """Names without their part, the loss first, those with validation values before the rest."""
    keys = list(dict.fromkeys(key for row in history for key in row if key.partition("/")[0] in PARTS))
    names = list(dict.fromkeys(key.partition("/")[2] for key in keys))
    return sorted(names, key=lambda n: (n != "loss", f"val/{n}" not in keys, f"train/{n}" not in keys))


def _panel(ax: Axes, name: str, history: Sequence[Mapping[str, float]]) -> None:
    quiet(ax)
    # Plain texts: titles and legends look for a free place, which takes longer than all the drawing.
    ax.text(0, 1.06, name, transform=ax.transAxes, fontsize=TEXT, color=INK, weight="bold")
    for part, colour in PARTS.items():
        key = f"{part}/{name}"
        points = [(row["epoch"], row[key]) for row in history if key in row and isfinite(row[key])]
        if not points:
            continue
        few = len(points) <= 30
        x, y = zip(*points, strict=True)
        ax.plot(x, y, color=colour, linewidth=2.2, marker="o" if few else "", markersize=5)
        if part == "val":
            low = name.rpartition("/")[2].lower().endswith(LOWER_IS_BETTER)
            epoch, best = (min if low else max)(points, key=lambda p: p[1])
            ax.plot([epoch], [best], marker="o", markersize=11, mfc="none", mec=INK, mew=1.4)
            note = f"best {best:.4g}, epoch {epoch:.0f}"
            ax.text(1, 1.06, note, transform=ax.transAxes, fontsize=SMALL, color=INK, ha="right")
    ax.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    ax.yaxis.set_major_locator(MaxNLocator(nbins=6))
    ax.margins(x=0.03, y=0.08)
    ax.set_xlabel("epoch", fontsize=SMALL, color=INK)
