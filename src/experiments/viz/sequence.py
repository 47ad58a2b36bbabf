"""Inside a recurrent network over a sentence, and what each word does to an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from experiments.viz.canvas import BLUE, GREY, INK, ORANGE, SMALL, TEXT, add_axes, figure
from experiments.viz.fonts import writing
from experiments.viz.labels import shorten

SIGNED = {"hidden", "candidate", "cell"}  # from -1 to 1, or beyond; the others are gates, from 0 to 1


def gates(pieces: Sequence[str], states: Mapping[str, np.ndarray], *, title: str, note: str = "") -> Figure:
    """Return a heat map a gate over the unrolled sequence: a column a token, a row a unit.

    Args:
        pieces: T tokens.
        states: name to (T, units), in the order in which they are drawn; all with the same units.
    """
    how = writing(pieces)
    names = list(states)
    each, wide = 1.35, max(7.0, min(16.0, 0.55 * len(pieces) + 2.4))
    height = 0.75 + each * len(names) + 0.95
    fig = figure(wide, height, title, note, how.note)
    for row, name in enumerate(names):
        bottom = height - 0.75 - each * (row + 1) + 0.15
        ax = add_axes(fig, 1.25, bottom, wide - 2.1, each - 0.25)
        values = np.asarray(states[name]).T
        reach = max(1.0, float(np.abs(values).max())) if name in SIGNED else 1.0
        low = -reach if name in SIGNED else 0.0
        image = ax.imshow(
            values,
            aspect="auto",
            cmap="RdBu_r" if name in SIGNED else "viridis",
            vmin=low,
            vmax=reach,
            interpolation="none",
        )
        ax.set_yticks([])
        ax.set_xticks([])
        ax.set_ylabel(name, fontsize=TEXT, color=INK, rotation=0, ha="right", va="center")
        bar = add_axes(fig, wide - 0.7, bottom, 0.12, each - 0.25)
        fig.colorbar(image, cax=bar).ax.tick_params(labelsize=SMALL - 2, colors=GREY, length=0)
        if row == len(names) - 1:
            labels = [shorten(how.written(piece), 12) for piece in pieces]
            ax.set_xticks(range(len(pieces)), labels, rotation=40, ha="right", fontsize=SMALL, fontfamily=how.families)
            ax.tick_params(length=0)
    return fig


def importance(
    pieces: Sequence[str], values: Sequence[float], *, title: str, note: str = "", what: str = "word"
) -> Figure:
    """Return a bar a token, from the top down: what the answer loses without it.

    Args:
        pieces: T tokens.
        values: T numbers; above zero the token speaks for the answer, below zero against it.
        what: a token is.
    """
    how = writing(pieces)
    height = 0.9 + 0.3 * len(pieces) + 0.65
    fig = figure(9.0, height, title, note, how.note)
    ax = add_axes(fig, 1.9, 0.65, 6.7, 0.3 * len(pieces))
    ax.barh(range(len(pieces)), values, color=[BLUE if value >= 0 else ORANGE for value in values], height=0.72)
    labels = [shorten(how.written(piece), 18) for piece in pieces]
    ax.set_yticks(range(len(pieces)), labels, fontsize=SMALL, fontfamily=how.families, color=INK)
    ax.invert_yaxis()
    ax.axvline(0, color=GREY, linewidth=0.8)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(length=0, labelsize=SMALL)
    ax.set_xlabel(f"fall of the log-probability without the {what}", fontsize=SMALL, color=INK)
    return fig
