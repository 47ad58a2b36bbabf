"""A drawing of lines, areas, dots and text that becomes SVG for the report or a matplotlib figure for a paper.

Colours are names. In the report they are CSS variables, so that the page decides between light and dark.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

PAPER = {  # on white, for print; Okabe and Ito's colours, which the colour-blind can tell apart
    **{
        "ink": "#1f2328",
        "grey": "#656d76",
        "pale": "#d8dee4",
        "back": "#ffffff",
        "accent": "#0072b2",
        "mark": "#d55e00",
    },
    **{"c0": "#d55e00", "c1": "#0072b2", "c2": "#009e73", "c3": "#cc79a7"},
    **{"c4": "#b58900", "c5": "#56b4e9", "c6": "#7a5195", "c7": "#656d76"},
}
Points = Sequence[tuple[float, float]]


class Drawing:
    """Shapes in units of one CSS pixel, the origin at the upper left.

    Args:
        width, height: of the whole.
        name: what it shows, for readers who cannot see it.
    """

    def __init__(self, width: float, height: float, name: str) -> None:
        self.width, self.height, self.name = width, height, name
        self.shapes: list[tuple[str, dict[str, Any]]] = []

    def line(self, points: Points, colour: str, width: float = 1.0, opacity: float = 1.0, dashed: bool = False) -> None:
        self.shapes.append(
            ("line", {"points": points, "colour": colour, "width": width, "opacity": opacity, "dashed": dashed})
        )

    def area(self, points: Points, colour: str, opacity: float = 1.0, title: str = "") -> None:
        self.shapes.append(("area", {"points": points, "colour": colour, "opacity": opacity, "title": title}))

    def box(
        self, x: float, y: float, width: float, height: float, colour: str, opacity: float = 1.0, title: str = ""
    ) -> None:
        self.area([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], colour, opacity, title)

    def dot(
        self,
        x: float,
        y: float,
        radius: float,
        colour: str,
        opacity: float = 1.0,
        hollow: bool = False,
        title: str = "",
    ) -> None:
        self.shapes.append(
            (
                "dot",
                {
                    "at": (x, y),
                    "radius": radius,
                    "colour": colour,
                    "opacity": opacity,
                    "hollow": hollow,
                    "title": title,
                },
            )
        )

    def text(
        self,
        x: float,
        y: float,
        text: str,
        colour: str = "ink",
        size: float = 13,
        anchor: str = "start",
        bold: bool = False,
        halo: bool = False,
    ) -> None:
        """Text whose baseline is at y; anchor: start, middle or end; a halo keeps lines behind it away."""
        look = {"colour": colour, "size": size, "anchor": anchor, "bold": bold, "halo": halo}
        self.shapes.append(("text", {"at": (x, y), "text": text, **look}))

    def svg(self) -> str:
        """As an SVG element; all text is escaped."""
        parts = [f'<svg viewBox="0 0 {_n(self.width)} {_n(self.height)}" role="img" aria-label="{escape(self.name)}">']
        parts += [_SVG[kind](**shape) for kind, shape in self.shapes]
        return "".join([*parts, "</svg>"])

    def figure(self) -> Any:
        """As a matplotlib Figure, 96 units an inch."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        from experiments.viz.fonts import give_letters

        figure = Figure(figsize=(self.width / 96, self.height / 96), facecolor="white")
        FigureCanvasAgg(figure)
        ax = figure.add_axes((0, 0, 1, 1))
        ax.set_xlim(0, self.width)
        ax.set_ylim(self.height, 0)
        ax.axis("off")
        for order, (kind, shape) in enumerate(self.shapes):
            _matplotlib(ax, kind, order, **shape)
        give_letters(figure)
        return figure

    def png(self, path: Path, dpi: int = 300) -> None:
        """Writes a PNG file for print."""
        from experiments.system.files import atomic_path

        out = io.BytesIO()
        self.figure().savefig(out, format="png", dpi=dpi)
        with atomic_path(path) as temporary:
            temporary.write_bytes(out.getvalue())


def _n(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")


def _places(points: Points) -> str:
    return " ".join(f"{_n(x)},{_n(y)}" for x, y in points)


def _faint(opacity: float, name: str = "opacity") -> str:
    return f' {name}="{opacity:.2g}"' if opacity < 1 else ""


def _hint(title: str) -> str:
    return f"<title>{escape(title)}</title>" if title else ""


def _line(points: Points, colour: str, width: float, opacity: float, dashed: bool) -> str:
    dash = ' stroke-dasharray="4 4"' if dashed else ""
    return (
        f'<polyline points="{_places(points)}" class="l {colour}" stroke-width="{_n(width)}"{dash}{_faint(opacity)}/>'
    )


def _area(points: Points, colour: str, opacity: float, title: str) -> str:
    return f'<polygon points="{_places(points)}" class="f {colour}"{_faint(opacity)}>{_hint(title)}</polygon>'


def _dot(at: tuple[float, float], radius: float, colour: str, opacity: float, hollow: bool, title: str) -> str:
    kind = "h" if hollow else "f"
    place = f'cx="{_n(at[0])}" cy="{_n(at[1])}" r="{_n(radius)}"'
    return f'<circle {place} class="{kind} {colour}"{_faint(opacity)}>{_hint(title)}</circle>'


def _text(at: tuple[float, float], text: str, colour: str, size: float, anchor: str, bold: bool, halo: bool) -> str:
    weight = ' font-weight="600"' if bold else ""
    side = f' text-anchor="{anchor}"' if anchor != "start" else ""
    kind = f"f {colour}{' halo' if halo else ''}"
    return f'<text x="{_n(at[0])}" y="{_n(at[1])}" class="{kind}" font-size="{_n(size)}"{side}{weight}>{escape(text)}</text>'


_SVG: dict[str, Callable[..., str]] = {"line": _line, "area": _area, "dot": _dot, "text": _text}


def _matplotlib(ax: Any, kind: str, order: int, **shape: Any) -> None:
    colour, opacity = PAPER[shape["colour"]], shape.get("opacity", 1.0)
    if kind == "line":
        style = (0, (4, 4)) if shape["dashed"] else "-"
        x, y = zip(*shape["points"], strict=True)
        ax.plot(
            x,
            y,
            color=colour,
            linewidth=shape["width"] * 0.75,
            alpha=opacity,
            linestyle=style,
            solid_joinstyle="round",
            zorder=order,
        )
    elif kind == "area":
        x, y = zip(*shape["points"], strict=True)
        ax.fill(x, y, color=colour, alpha=opacity, linewidth=0, zorder=order)
    elif kind == "dot":
        size = (shape["radius"] * 1.5) ** 2
        face = "white" if shape["hollow"] else colour
        edge = 1.2 if shape["hollow"] else 0
        ax.scatter(*shape["at"], s=size, facecolor=face, edgecolor=colour, linewidth=edge, alpha=opacity, zorder=order)
    else:
        place = {"start": "left", "middle": "center", "end": "right"}[shape["anchor"]]
        weight = "bold" if shape["bold"] else "normal"
        behind = None
        if shape["halo"]:
            from matplotlib.patheffects import withStroke

            behind = [withStroke(linewidth=2.5, foreground=PAPER["back"])]
        text = shape["text"].replace("$", r"\$")  # no formulas
        ax.text(
            *shape["at"],
            text,
            color=colour,
            fontsize=shape["size"] * 0.72,
            ha=place,
            va="baseline",
            weight=weight,
            zorder=order,
            path_effects=behind,
        )
