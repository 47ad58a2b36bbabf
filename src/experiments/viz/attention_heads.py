"""Where the tokens of a text look: a map for each layer and head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from torch import Tensor

from experiments.viz.canvas import INK, SMALL, TEXT, add_axes, figure
from experiments.viz.fonts import writing
from experiments.viz.labels import shorten
from experiments.viz.raster import write

LETTERS, SIDE = 12, 15.0  # of a label; inches that the maps share, at most


def attention_heads(
    maps: Sequence[Tensor], across: Sequence[str], down: Sequence[str], *, title: str, note: str = ""
) -> Figure:
    """Return a row of maps a layer, a column a head; in a map a row for each token, dark where it looks.

    Args:
        maps: of each layer, (heads, T, S) weights from 0 to 1.
        across: S tokens that are looked at.
        down: T tokens that look.
    """
    how = writing([*across, *down])
    heads = max(len(by_head) for by_head in maps)
    side = min(2.6 if heads < 3 else 2.1, SIDE / heads)
    side = max(side, 0.19 * len(down)) if heads * 0.19 * len(down) <= SIDE else max(side, 0.9)
    readable = 0.14 * max(len(across), len(down)) <= side  # letters of 8 points beside each row
    left, top, gap = 1.35, 0.75 + (1.0 if readable else 0.1), 0.12
    width, height = left + heads * (side + gap) + 0.2, top + len(maps) * (side + gap + 0.1) + 0.4
    fig = figure(width, height, title, note, how.note)
    labels: dict[str, Any] = {"fontsize": 8 if readable else SMALL, "fontfamily": how.families, "color": INK}
    for row, layer in enumerate(maps):
        bottom = height - top - (row + 1) * (side + gap + 0.1) + gap
        for head in range(len(layer)):
            ax = add_axes(fig, left + head * (side + gap), bottom, side, side)
            ax.imshow(layer[head].numpy(), cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
            ax.set_xticks([])
            ax.set_yticks([])
            ax.spines[:].set_color("#cccccc")
            if readable and row == 0:
                ax.set_xticks(range(len(across)))
                ax.set_xticklabels([shorten(how.written(word), LETTERS) for word in across], rotation=60, ha="left",
                                   rotation_mode="anchor", **labels)  # fmt: skip
                ax.tick_params(length=0, top=False, bottom=False, labeltop=True, labelbottom=False)
            if readable and head == 0:
                ax.set_yticks(range(len(down)))
                ax.set_yticklabels([shorten(how.written(word), LETTERS) for word in down], **labels)
                ax.tick_params(length=0)
            if row == len(maps) - 1:
                write(
                    fig, left + head * (side + gap), height - bottom + 0.25, f"head {head + 1}", size=SMALL, colour=INK
                )
        if not readable:
            write(fig, 0.2, height - bottom - side / 2, f"layer {row + 1}", size=TEXT, colour=INK)
    return fig
