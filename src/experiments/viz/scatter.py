"""Points in the plane, coloured by class."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib import colormaps
from matplotlib.figure import Figure
from torch import Tensor

from experiments.viz.canvas import INK, SMALL, add_axes, figure, quiet
from experiments.viz.labels import shorten


def scatter(
    points: Tensor, labels: Tensor, classes: Sequence[str], *, title: str = "Codes", note: str = "", most: int = 20
) -> Figure:
    """Return a dot an example, and the name of each class at its colour.

    Args:
        points: (N, 2).
        labels: (N,) int64, indices into `classes`.
        classes: names; those after the first `most` are named no more.
    """
    width, height = 9.0, 7.2
    fig = figure(width, height, title, note)
    ax = add_axes(fig, 0.6, 0.45, 6.6, height - 1.15)
    quiet(ax)
    colours = [*colormaps["tab10"].colors, *colormaps["tab20b"].colors]  # type: ignore[attr-defined]
    xy, names = points.detach().float().cpu().numpy(), labels.cpu().numpy()
    for label, name in enumerate(classes):
        mine = xy[names == label]
        colour = colours[label % len(colours)]
        ax.scatter(mine[:, 0], mine[:, 1], s=9, color=colour, alpha=0.7, linewidths=0)
        if label < most:
            place = height - 0.95 - 0.29 * label
            fig.text(7.4 / width, place / height, "●", fontsize=SMALL, color=colour, va="center")
            fig.text(7.6 / width, place / height, shorten(name, 16, classes), fontsize=SMALL, color=INK, va="center")
    return fig
