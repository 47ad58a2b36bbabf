"""A text with some of its words marked, in any script."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from experiments.viz.canvas import BLUE, GREY, INK, TEXT, figure, ground
from experiments.viz.fonts import writing

WIDTH, LINE = 11.0, 0.34  # inches of a text; from one line to the next


class Word(NamedTuple):
    """A piece of a text.

    Attributes:
        text: as it stands there, without the space before it.
        strength: from 0 (not marked) to 1.
        framed: whether it has a line below.
        spaced: whether a space stands before it.
        colour: of the mark.
    """

    text: str
    strength: float
    framed: bool = False
    spaced: bool = True
    colour: str = BLUE


def marked_text(texts: Sequence[tuple[str, Sequence[Word], str]], *, title: str, note: str = "") -> Figure:
    """Texts below each other, each with a heading above it and a remark behind it.

    Args:
        texts: heading, words and remark of each.
    """
    how = writing(
        part for heading, words, remark in texts for part in (heading, remark, *(part.text for part in words))
    )
    tall = 20.0 + sum(LINE * (4 + len(words)) for _, words, _ in texts)  # more than enough: cut below
    fig = figure(WIDTH, tall, title, note, how.note)
    ax = ground(fig, WIDTH, tall)
    renderer = fig.canvas.get_renderer()  # type: ignore[attr-defined]
    style: dict[str, Any] = {"fontsize": TEXT, "fontfamily": how.families, "va": "center"}
    space, top = 0.07, 1.0
    for heading, words, remark in texts:
        ax.text(0.2, top, how.written(heading), color=INK, weight="bold", **style)
        left, top = 0.2, top + LINE
        for word in words:
            drawn = ax.text(0, top, how.written(word.text), color=INK, **style)
            wide = drawn.get_window_extent(renderer).width / fig.dpi
            left += space if word.spaced else 0.0
            if left + wide > WIDTH - 0.2:
                left, top = 0.2, top + LINE
            drawn.set_position((left, top))
            if word.strength > 0.01:
                box = Rectangle((left - 0.01, top - LINE * 0.42), wide + 0.02, LINE * 0.84, facecolor=word.colour,
                                alpha=0.1 + 0.5 * min(1.0, word.strength), linewidth=0)  # fmt: skip
                ax.add_patch(box)
            if word.framed:
                ax.plot([left, left + wide], [top + LINE * 0.4] * 2, color=INK, linewidth=1.4)
            left += wide
        top += LINE
        if remark:
            ax.text(0.2, top, how.written(remark), color=GREY, **style)
            top += LINE
        top += LINE / 2
    # The figure keeps its width, and loses what is below the last line.
    fig.set_size_inches(fig.get_size_inches()[0], top)
    ax.set_position((0, 0, WIDTH / fig.get_size_inches()[0], 1))
    ax.set_ylim(top, 0)
    return fig
