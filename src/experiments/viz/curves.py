"""Loss and metrics over the epochs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import ceil, isfinite

from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Affine2D

from experiments.viz.canvas import BLUE, GREY, INK, ORANGE, PALE, SMALL, TEXT, TITLE, figure
from experiments.viz.raster import text_width, write

SPLITS = {"train": BLUE, "val": ORANGE}


def curves(
    history: Sequence[Mapping[str, float]],
    lower_is_better: Callable[[str], bool],
    *,
    title: str = "Learning curves",
    most: int = 4,
) -> Figure:
    """Return one panel a quantity, train and validation together, the loss first; the best validation value is
    marked.

    Args:
        history: a row an epoch: `epoch`, from 0 as Lightning counts, and names such as `train/loss` and
            `val/accuracy`; a row may lack some. Readers count from 1, as the progress line does.
        lower_is_better: tells of a quantity whether its least value is the best.
        most: panels at most.
    """
    names = _quantities(history)[:most]
    columns = 1 if len(names) == 1 else 2
    rows = max(ceil(len(names) / columns), 1)
    width, height = (9.0 if columns == 1 else 12.0), 0.6 + 3.85 * rows
    fig = figure(width, height, title)
    for i, (split, colour) in enumerate(SPLITS.items()):
        left = 0.2 + text_width(title, TITLE, bold=True) + 0.25 + 0.85 * i
        write(fig, left, 0.365, f"● {split}", size=TEXT, colour=colour, bold=True)
    each = (width - 0.2) / columns
    for i, name in enumerate(names):
        top = 0.6 + 3.85 * (i // columns) + 0.55
        _panel(fig, name, lower_is_better(name), history, 0.85 + i % columns * each, top, each - 1.05, 2.6)
    return fig


def _quantities(history: Sequence[Mapping[str, float]]) -> list[str]:
    """Names without their split, the loss first, those with validation values before the rest."""
    keys = list(dict.fromkeys(key for row in history for key in row if key.partition("/")[0] in SPLITS))
    names = list(dict.fromkeys(key.partition("/")[2] for key in keys))
    return sorted(names, key=lambda n: (n != "loss", f"val/{n}" not in keys, f"train/{n}" not in keys))


def _panel(
    fig: Figure,
    name: str,
    lower: bool,
    history: Sequence[Mapping[str, float]],
    left: float,
    top: float,
    wide: float,
    tall: float,
) -> None:
    """One quantity at a place in inches; drawn without axes, which take longer than all that is in them."""
    write(fig, left, top - 0.24, name, size=TEXT, colour=INK, bold=True)
    write(fig, left + wide / 2, top + tall + 0.4, "epoch", size=SMALL, colour=INK, align="center")
    points_by_split = {
        split: [(row["epoch"] + 1, row[key]) for row in history if key in row and isfinite(row[key])]
        for split, key in ((split, f"{split}/{name}") for split in SPLITS)
    }
    epochs = _ends([x for points in points_by_split.values() for x, _ in points], 0.03)
    values = _ends([y for points in points_by_split.values() for _, y in points], 0.08)

    def x_of(epoch: float) -> float:
        return left + wide * (epoch - epochs[0]) / (epochs[1] - epochs[0])

    def y_of(value: float) -> float:
        return top + tall * (values[1] - value) / (values[1] - values[0])

    lines = []
    across, written = _ticks(epochs, MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    for tick, text in zip(across, written, strict=True):
        lines.append([(x_of(tick), top), (x_of(tick), top + tall)])
        write(fig, x_of(tick), top + tall + 0.15, text, size=SMALL, colour=GREY, align="center")
    up, written = _ticks(values, MaxNLocator(nbins=6))
    for tick, text in zip(up, written, strict=True):
        lines.append([(left, y_of(tick)), (left + wide, y_of(tick))])
        write(fig, left - 0.06, y_of(tick), text, size=SMALL, colour=GREY, align="right")
    lines += [[(left, top), (left, top + tall)], [(left, top + tall), (left + wide, top + tall)]]
    height = fig.get_size_inches()[1]
    inches = Affine2D().scale(1, -1).translate(0, height) + fig.dpi_scale_trans
    fig.add_artist(LineCollection(lines, colors=PALE, linewidths=0.8, transform=inches))
    for split, points in points_by_split.items():
        if not points:
            continue
        x, y = [x_of(epoch) for epoch, _ in points], [y_of(value) for _, value in points]
        few = len(points) <= 30
        dot = "o" if few else ""
        fig.add_artist(
            Line2D(x, y, transform=inches, zorder=2, color=SPLITS[split], linewidth=2.2, marker=dot, markersize=5)
        )
        if split == "val":
            epoch, best = (min if lower else max)(points, key=lambda p: p[1])
            spot = [x_of(epoch)], [y_of(best)]
            fig.add_artist(
                Line2D(*spot, transform=inches, zorder=3, marker="o", markersize=11, mfc="none", mec=INK, mew=1.4)
            )
            note = f"best {best:.4g}, epoch {epoch:.0f}"
            write(fig, left + wide, top - 0.24, note, size=SMALL, colour=INK, align="right")


def _ends(values: Sequence[float], margin: float) -> tuple[float, float]:
    """Return what an axis spans: the values and a margin; something to see where they are one, or none."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if not isfinite(high - low) or high - low <= 1e-12 * max(abs(low), abs(high)):
        spread = 0.05 * max(abs(low), abs(high)) or 0.5
        low, high = low - spread, high + spread
    extra = margin * (high - low)
    return low - extra, high + extra


def _ticks(ends: tuple[float, float], locator: MaxNLocator) -> tuple[list[float], list[str]]:
    """Round numbers within an axis, and as they are written: all with as many digits as they need."""
    inside = [float(tick) for tick in locator.tick_values(*ends) if ends[0] <= tick <= ends[1]]
    largest = max((abs(tick) for tick in inside), default=0.0)
    if largest and not 1e-4 <= largest < 1e5:
        return inside, [f"{tick:.3g}" for tick in inside]
    digits = next((d for d in range(7) if all(abs(tick - round(tick, d)) < 1e-9 for tick in inside)), 6)
    return inside, [f"{tick:.{digits}f}" for tick in inside]
