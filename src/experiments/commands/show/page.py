"""The page of `experiments show`: every picture twice, for a light and a dark screen, in one file."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING

from experiments.commands.show.panel import Panel, Picture
from experiments.viz.canvas import GREY, INK, PALE, recolour, webp
from experiments.viz.page import figure as card
from experiments.viz.page import page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The page's own colours of a card, so that a picture has no edge on it.
_LIGHT = {"white": "#f6f8fa"}
_DARK = {"#f6f8fa": "#171d25", "white": "#171d25", INK: "#e6edf3", GREY: "#9aa4af", PALE: "#2d3640"}
_DPI = 150  # sharp on a telephone and on a projector
_STYLE = """
.scroll img { display: block; height: auto; width: 100%; max-width: calc(var(--inches) * 7rem); min-width: min(calc(var(--inches) * 4.4rem), 54rem); }
nav { display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; margin: 1rem 0 0; }
nav a { color: var(--accent); }
figure + figure { margin-top: 1rem; }
"""


def picture_html(figure: Figure | bytes, title: str) -> str:
    """Return the figure as HTML that follows the page's light or dark; the figure is changed. An animation stays as it
    is.
    """
    if isinstance(figure, bytes):
        wide = struct.unpack("<H", figure[6:8])[0] / _DPI * 2
        data = "data:image/gif;base64," + base64.b64encode(figure).decode()
        return f'<picture style="--inches: {wide:.2f}"><img src="{data}" alt="{escape(title)}"></picture>'
    recolour(figure, _LIGHT)
    light = _data(figure)
    recolour(figure, _DARK)
    dark = _data(figure)
    wide = figure.get_size_inches()[0]
    return (
        f'<picture style="--inches: {wide:.2f}"><source media="screen and (prefers-color-scheme: dark)" srcset="{dark}">'
        f'<img src="{light}" alt="{escape(title)}"></picture>'
    )


def _data(figure: Figure) -> str:
    return "data:image/webp;base64," + base64.b64encode(webp(figure, _DPI)).decode()


def show_page(
    title: str,
    heading: str,
    sections: Sequence[tuple[Panel, Sequence[tuple[Picture, str]]]],
    notes: Sequence[str],
    back: Sequence[tuple[str, str]] = (),
) -> str:
    """Return the whole page.

    Args:
        title: of the page.
        heading: a quiet line below it.
        sections: panels with their pictures and those pictures' HTML.
        notes: what is not shown, and why.
        back: name and place, told from the page, of what it belongs to.
    """
    links = "".join(f'<a href="#{panel.name}">{escape(panel.title)}</a>' for panel, _ in sections)
    parts = [f"<h1>{escape(title)}</h1>", f'<p class="quiet">{escape(heading)}</p>']
    if back:
        places = "".join(f'<a href="{escape(place)}">{escape(name)}</a>' for name, place in back)
        parts.append(f'<nav aria-label="what this belongs to">{places}</nav>')
    if len(sections) > 1:
        parts.append(f'<nav aria-label="contents">{links}</nav>')
    for panel, pictures in sections:
        parts.append(f'<h2 id="{panel.name}">{escape(panel.title)}</h2>')
        parts += [card("", picture.caption, html, True) for picture, html in pictures]
    if notes:
        parts += ["<h2>Not shown</h2>", *(f"<p>{escape(note)}</p>" for note in notes)]
    parts.append(f"<footer><p>experiments show · {datetime.now():%Y-%m-%d %H:%M}</p></footer>")
    return page(title, parts, style=_STYLE)
