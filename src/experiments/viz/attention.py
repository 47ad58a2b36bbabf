"""Where the words of a translation look in their source sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from torch import Tensor

from experiments.viz.canvas import INK, TEXT, add_axes, figure
from experiments.viz.fonts import writing
from experiments.viz.labels import shorten

CELL, LONGEST = 0.36, 14  # inches; letters of a label


def attention(
    maps: Sequence[Tensor],
    sources: Sequence[Sequence[str]],
    targets: Sequence[Sequence[str]],
    languages: Sequence[str],
    *,
    title: str = "Attention",
) -> Figure:
    """Return a map a sentence, side by side two by two: a row for each word of the translation, dark where it looks.

    Args:
        maps: (T, S) weights from 0 to 1 of each sentence.
        sources: S words each, written above.
        targets: T words each, written to the left.
        languages: names of source and target.
    """
    how = writing(word for side in (sources, targets) for words in side for word in words)
    columns = 2 if len(maps) > 1 else 1
    left, top, gap = 1.5, 1.25, 0.3
    across = [max(len(sources[place]) for place in range(column, len(maps), columns)) for column in range(columns)]
    lines = [list(range(start, min(start + columns, len(maps)))) for start in range(0, len(maps), columns)]
    down = [max(len(targets[place]) for place in line) for line in lines]
    width = max(sum(left + count * CELL for count in across) + gap * columns, 8.0)
    height = 0.9 + sum(top + count * CELL + gap for count in down)
    note = f"{languages[0]} above, {languages[1]} beside"
    fig = figure(width, height, title, note, how.note)
    below = height - 0.75
    for line, tall in zip(lines, down, strict=True):
        for place in line:
            column = place % columns
            begins = left + sum(left + gap + across[spot] * CELL for spot in range(column))
            words, others = sources[place], targets[place]
            high = len(others) * CELL
            ax = add_axes(fig, begins, below - top - high, len(words) * CELL, high)
            ax.imshow(maps[place].numpy(), cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
            labels: dict[str, Any] = {"fontsize": TEXT, "fontfamily": how.families, "color": INK}
            ax.set_xticks(range(len(words)))
            ax.set_xticklabels([shorten(how.written(word), LONGEST) for word in words], rotation=55, ha="left",
                               rotation_mode="anchor", **labels)  # fmt: skip
            ax.set_yticks(range(len(others)))
            ax.set_yticklabels([shorten(how.written(word), LONGEST) for word in others], **labels)
            ax.tick_params(length=0, top=False, bottom=False, labeltop=True, labelbottom=False)
            ax.spines[:].set_color("#dddddd")
        below -= top + tall * CELL + gap
    return fig
