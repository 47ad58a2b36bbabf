"""Many examples as points in the plane, coloured by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from experiments.viz.canvas import INK, SMALL, TEXT, add_axes, figure
from experiments.viz.labels import shorten

# Okabe and Ito's and two more, in an order that keeps neighbours apart; readable on white and on near-black.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195", "#8c8c00", "#b03a2e", "#707880")
NAMES_UP_TO = 20  # classes; above, names would cover the points


def class_colours(count: int) -> list[str]:
    """Return a colour a class: well told apart up to ten, in the order of the rainbow above twenty."""
    if count <= len(COLOURS):
        return list(COLOURS[:count])
    if count <= 20:
        return [matplotlib.colors.to_hex(colour) for colour in matplotlib.colormaps["tab20"].colors[:count]]  # type: ignore[attr-defined]
    return [
        matplotlib.colors.to_hex(colour) for colour in matplotlib.colormaps["turbo"](np.linspace(0.03, 0.97, count))
    ]


def embedding(
    points: Mapping[str, np.ndarray],
    labels: np.ndarray,
    classes: Sequence[str],
    *,
    highlight: int | None = None,
    title: str = "Embedding",
    note: str = "",
) -> Figure:
    """Return a panel a projection; the name of a class stands in the middle of its points, up to twenty classes.

    Args:
        points: name and (N, 2) each.
        labels: (N,) class indices.
        classes: names.
        highlight: a class to colour alone, the others in grey.
    """
    side = 6.0
    width, height = 0.2 + len(points) * (side + 0.2), side + 1.2
    fig = figure(width, height, title, note)
    colours = np.array(class_colours(len(classes)))
    chosen = np.array(colours[labels]) if highlight is None else np.where(labels == highlight, colours[1], "#a0a6ad")
    order = np.random.default_rng(0).permutation(len(labels))  # no class lies on top of all others
    if highlight is not None:
        order = np.concatenate([order[labels[order] != highlight], order[labels[order] == highlight]])
    size = float(np.clip(24_000 / max(len(labels), 1), 8, 60))
    for place, (name, where) in enumerate(points.items()):
        ax = add_axes(fig, 0.2 + place * (side + 0.2), 0.15, side, side)
        ax.set_axis_off()
        ax.scatter(where[order, 0], where[order, 1], s=size, c=chosen[order], alpha=0.75, linewidths=0)
        ax.margins(0.04)
        width_share = (0.2 + place * (side + 0.2)) / width
        fig.text(width_share, (side + 0.35) / height, name, fontsize=TEXT, color=INK, weight="bold", va="center")
        shown = [highlight] if highlight is not None else range(len(classes)) if len(classes) <= NAMES_UP_TO else []
        for label in shown:
            own = where[labels == label]
            if not len(own):
                continue
            middle = own[np.argmin(((own - np.median(own, axis=0)) ** 2).sum(1))]  # a point of the class, never a gap
            share = (middle[0] - where[:, 0].min()) / max(float(np.ptp(where[:, 0])), 1e-12)
            text = ax.text(
                float(middle[0]),
                float(middle[1]),
                shorten(classes[label], 18, classes),
                fontsize=TEXT if len(classes) <= 10 else SMALL,
                color="white",
                weight="bold",
                ha="left" if share < 0.15 else "right" if share > 0.85 else "center",  # a name ends inside its panel
                va="center",
                gid="keep",
            )
            colour = str(colours[label] if highlight is None else colours[1])
            text.set_path_effects([withStroke(linewidth=4, foreground=colour)])
    return fig
