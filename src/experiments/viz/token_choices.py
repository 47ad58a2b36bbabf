"""The most probable tokens at each place of a text; the darker, the more probable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from experiments.viz.canvas import BLUE, GREY, INK, SMALL, TEXT, figure, ground
from experiments.viz.fonts import writing
from experiments.viz.labels import shorten

LETTERS, ROW = 14, 0.34  # of a token; inches


class Place(NamedTuple):
    """One place of a text.

    Attributes:
        token: what stands there.
        chance: its probability, or None where it is not known.
        candidates: the likeliest tokens with their probabilities, best first.
    """

    token: str
    chance: float | None
    candidates: list[tuple[str, float]]


def token_choices(places: Sequence[Place], *, title: str, note: str = "") -> Figure:
    """Return a line a place: the token, its probability, and the candidates; what stands there is framed among them."""
    how = writing(text for place in places for text in (place.token, *(word for word, _ in place.candidates)))
    columns = max((len(place.candidates) for place in places), default=0)
    wide, left = 1.75, 2.6
    width, height = left + columns * wide + 0.2, 0.95 + ROW * len(places) + 0.25
    fig = figure(max(width, 7.0), height, title, note, how.note)
    ax = ground(fig, *fig.get_size_inches())
    for number, place in enumerate(places):
        top = 0.95 + number * ROW
        middle = top + ROW / 2
        ax.text(0.2, middle, shorten(how.written(_visible(place.token)), LETTERS + 2), fontsize=TEXT, fontfamily=how.families,
                color=INK, va="center")  # fmt: skip
        if place.chance is not None:
            ax.text(left - 0.15, middle, f"{place.chance:.0%}", fontsize=SMALL, color=GREY, va="center", ha="right")
        for column, (token, chance) in enumerate(place.candidates):
            x = left + column * wide
            same = token == place.token
            ax.add_patch(Rectangle((x, top + 0.02), wide - 0.06, ROW - 0.04, facecolor=BLUE, alpha=0.08 + 0.5 * chance,
                                   linewidth=0))  # fmt: skip
            if same:
                ax.add_patch(
                    Rectangle((x, top + 0.02), wide - 0.06, ROW - 0.04, fill=False, edgecolor=INK, linewidth=1.4)
                )
            ax.text(x + 0.07, middle, shorten(how.written(_visible(token)), LETTERS), fontsize=SMALL, fontfamily=how.families,
                    color=INK, va="center")  # fmt: skip
            ax.text(x + wide - 0.12, middle, f"{chance:.0%}", fontsize=SMALL - 2, color=GREY, va="center", ha="right")
    return fig


def _visible(token: str) -> str:
    """Spaces and ends of lines as signs."""
    return token.replace("\n", "⏎").replace(" ", "␣") if not token.strip() else token
