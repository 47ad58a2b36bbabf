"""A network as a picture: a panel a stage, its layers as boxes, branches, sums and shortcuts as they run."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from experiments.viz.canvas import BLUE, DPI, GREY, INK, ORANGE, PALE, SMALL, TEXT, TITLE, ground
from experiments.viz.network_layout import Size
from experiments.viz.network_panels import HEAD, MARGIN, PAD, Item, Stage, box_size, entries, placed
from experiments.viz.network_ways import StageWays, between_panels
from experiments.viz.raster import text_width
from experiments.viz.recurrent_cell import recurrent_cell

LEARNS, FROZEN, PLAIN = "#fbe3b8", "#cfe3f2", "#eef1f4"  # grounds of boxes


def fits(title: str, note: str, stages: Sequence[Stage], items: dict[int, Item]) -> bool:
    """Tell whether a projector shows all letters of a picture."""
    return placed(title, note, stages, items, _freezes(items)).excess <= 1


def network_picture(title: str, note: str, stages: Sequence[Stage], items: dict[int, Item]) -> Figure:
    """Draws all stages, from left to right in as many rows as it takes."""
    sizes = {number: box_size(item) for number, item in items.items()}
    drawn = placed(title, note, stages, items, _freezes(items))
    width, height = drawn.size
    fig = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(fig)
    ax = ground(fig, width, height)
    ax.text(MARGIN, 0.4, title, fontsize=TITLE, color=INK, weight="bold", va="center")
    ax.text(MARGIN + text_width(title, TITLE, bold=True) + 0.25, 0.41, note, fontsize=TEXT, color=GREY, va="center")
    for place, (colour, word) in enumerate([(LEARNS, "learns"), (FROZEN, "frozen")] if _freezes(items) else []):
        _rounded(ax, MARGIN + 1.6 * place, height - 0.42, 0.3, 0.22, colour, PALE)
        ax.text(MARGIN + 1.6 * place + 0.42, height - 0.3, word, fontsize=TEXT, color=INK, va="center")
    middles: dict[int, tuple[float, float]] = {}
    beside = entries(stages, items)
    for stage, layout, size, (left, top), shift in zip(
        stages, drawn.inner, drawn.panels, drawn.spots, drawn.shifts, strict=True
    ):
        _panel(ax, stage, size, left, top)
        for number, (x, y) in layout.places.items():
            middles[number] = (left + shift + x, top + HEAD + y)
        for numbers, text in stage.frames:
            parts = [[n for n in numbers if n in boxes] for boxes, _ in layout.columns]
            parts = [part for part in parts if part]
            for part in parts:
                _frame(ax, [(middles[n], sizes[n]) for n in part], text if part is parts[-1] else "…")
        columns = [(boxes, left + shift + begin) for boxes, begin in layout.columns]
        StageWays(ax, stage, items, sizes, middles, columns, top + HEAD, beside).draw()
    for number, (x, y) in middles.items():
        _box(ax, items[number], x, y, sizes[number])
    between_panels(ax, stages, items, drawn)
    return fig


def _freezes(items: dict[int, Item]) -> bool:
    return any(item.state == "frozen" for item in items.values())


def _panel(ax: Axes, stage: Stage, size: Size, left: float, top: float) -> None:
    edge = {"learns": ORANGE, "frozen": BLUE}.get(stage.state, PALE)
    _rounded(ax, left, top, *size, "white", edge, width=2 if stage.state else 1.2)
    for place, line in enumerate(stage.lines):
        weight = "normal" if place else "bold"
        ax.text(
            left + PAD * 0.7,
            top + 0.22 + 0.26 * place,
            line,
            fontsize=TEXT,
            color=GREY if place else INK,
            weight=weight,
            va="center",
        )


def _box(ax: Axes, item: Item, x: float, y: float, size: Size) -> None:
    wide, tall = size
    colour = {"learns": LEARNS, "frozen": FROZEN}.get(item.state, PLAIN)
    if item.kind in ("rnn", "lstm", "gru"):
        recurrent_cell(ax, item.kind, x - wide / 2, y, item.lines, colour)
        return
    _rounded(
        ax,
        x - wide / 2,
        y,
        wide,
        tall,
        "white" if item.kind == "operator" else colour,
        GREY if item.kind == "operator" else PALE,
        round_by=0.2 if item.kind == "operator" else 0.07,
    )
    keep = None if item.kind == "operator" else "keep"
    for place, line in enumerate(item.lines):
        lower = tall / 2 + (place - (len(item.lines) - 1) / 2) * 0.235
        ink = (INK if not place else GREY) if keep is None else ("#1f2328" if not place else "#57606a")
        ax.text(
            x,
            y + lower,
            line,
            fontsize=TEXT if not place else SMALL,
            color=ink,
            ha="center",
            va="center",
            gid=keep,
            zorder=5,
        )


def _frame(ax: Axes, boxes: Sequence[tuple[tuple[float, float], Size]], text: str) -> None:
    """A dashed line around a block that repeats or is there for training alone."""
    left = min(x - wide / 2 for (x, _), (wide, _) in boxes) - 0.12
    right = max(x + wide / 2 for (x, _), (wide, _) in boxes) + 0.42
    top, bottom = min(y for (_, y), _ in boxes) - 0.15, max(y + tall for (_, y), (_, tall) in boxes) + 0.1
    _rounded(ax, left, top, right - left, bottom - top, "none", GREY, dashed=True)
    ax.text(right + 0.06, (top + bottom) / 2, text, fontsize=TEXT, color=INK, weight="bold", va="center")


def _rounded(
    ax: Axes, left: float, top: float, wide: float, tall: float, colour: str, edge: str, width: float = 1.2,
    round_by: float = 0.07, dashed: bool = False,
) -> None:  # fmt: skip
    keep = "keep" if colour not in ("white", "none") else None
    ax.add_patch(
        FancyBboxPatch(
            (left + round_by, top + round_by), wide - 2 * round_by, tall - 2 * round_by,
            boxstyle=f"round,pad={round_by}", facecolor=colour, edgecolor=edge, linewidth=width,
            linestyle="--" if dashed else "-", gid=keep, zorder=3 if keep else 1,
        )
    )  # fmt: skip
