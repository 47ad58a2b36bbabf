"""A recurrent layer as it is taught: unrolled over time, and one cell with its gates and equations."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyBboxPatch

from experiments.viz.canvas import BLUE, GREY, INK, PALE, SMALL, TEXT

_WIDE, _HEAD, _LINE = 6.2, 4.12, 0.31  # inches: of a drawing, above its equations, of each of these

_EQUATIONS = {
    "rnn": [r"$h_t = \tanh(W x_t + U h_{t-1} + b)$"],
    "lstm": [
        r"$f_t, i_t, o_t = \sigma(W x_t + U h_{t-1} + b)$, each its own $W, U, b$",
        r"$g_t = \tanh(W_g x_t + U_g h_{t-1} + b_g)$",
        r"$c_t = f_t \odot c_{t-1} + i_t \odot g_t,\quad h_t = o_t \odot \tanh(c_t)$",
    ],
    "gru": [
        r"$r_t, z_t = \sigma(W x_t + U h_{t-1} + b)$, each its own $W, U, b$",
        r"$n_t = \tanh(W_n x_t + r_t \odot (U_n h_{t-1}) + b_n)$",
        r"$h_t = (1 - z_t) \odot n_t + z_t \odot h_{t-1}$",
    ],
}
# Gates from left to right: sign inside, name below.
_GATES = {
    "rnn": [("tanh", "")],
    "lstm": [("σ", "forget"), ("σ", "input"), ("tanh", "new"), ("σ", "output")],
    "gru": [("σ", "update"), ("σ", "reset"), ("tanh", "new")],
}


def cell_size(kind: str) -> tuple[float, float]:
    """Width and height of a drawing, in inches."""
    return _WIDE, _HEAD + _LINE * len(_EQUATIONS[kind])


def recurrent_cell(ax: Axes, kind: str, left: float, top: float, lines: Sequence[str], colour: str) -> None:
    """Draws the layer: its name, three steps of the unrolled cell, one cell from inside, its equations.

    Args:
        ax: in inches from the upper left.
        kind: rnn, lstm or gru.
        left: of the drawing.
        top: likewise.
        lines: name and size of the layer.
        colour: ground of the cells.
    """
    _frame(ax, left, top, *cell_size(kind))
    ax.text(left + 0.2, top + 0.22, lines[0], fontsize=TEXT, color=INK, weight="bold", va="center")
    ax.text(left + _WIDE - 0.2, top + 0.22, lines[-1], fontsize=SMALL, color=GREY, va="center", ha="right")
    _unrolled(ax, kind, left + 0.45, top + 0.5, colour)
    _inside(ax, kind, left + 0.55, top + 2.05, colour)
    for place, equation in enumerate(_EQUATIONS[kind]):
        ax.text(left + 0.25, top + _HEAD - 0.02 + _LINE * place, equation, fontsize=TEXT, color=INK, va="center")


def _unrolled(ax: Axes, kind: str, left: float, top: float, colour: str) -> None:
    """x₁ → cell → h₁, and what passes from cell to cell."""
    names = ("1", "2", "T")
    for place, name in enumerate(names):
        x = left + 0.55 + place * 1.85
        _box(ax, x - 0.5, top + 0.4, 1.0, 0.42, kind.upper(), colour)
        ax.text(x, top + 1.28, f"$x_{name}$", fontsize=TEXT, color=INK, ha="center", va="center")
        ax.text(x, top - 0.02, f"$h_{name}$", fontsize=TEXT, color=INK, ha="center", va="center")
        _arrow(ax, (x, top + 1.14), (x, top + 0.82))
        _arrow(ax, (x, top + 0.4), (x, top + 0.12))
        if place < 2:
            _arrow(ax, (x + 0.5, top + 0.61), (x + 1.35, top + 0.61))
            passed = "$h_1, c_1$" if kind == "lstm" else "$h_1$"
            ax.text(
                x + 0.92,
                top + 0.44,
                passed if place == 0 else "…",
                fontsize=SMALL,
                color=GREY,
                ha="center",
                va="center",
            )


def _inside(ax: Axes, kind: str, left: float, top: float, colour: str) -> None:
    """One cell: states run from left to right, gates stand between them and what comes in."""
    wide, tall = 5.1, 1.62
    ax.add_patch(
        FancyBboxPatch(
            (left, top),
            wide,
            tall,
            boxstyle="round,pad=0,rounding_size=0.12",
            facecolor="none",
            edgecolor=PALE,
            linewidth=1.5,
        )
    )
    upper, lower = top + 0.3, top + tall - 0.22
    state = "c" if kind == "lstm" else "h"
    gates = _GATES[kind]
    spots = [
        left + 0.75 + place * (1.05 if len(gates) > 1 else 0) + (1.8 if len(gates) == 1 else 0)
        for place in range(len(gates))
    ]
    if kind == "gru":
        spots = [left + 0.7, left + 1.8, left + 3.55]
    _label(ax, left - 0.25, lower - 0.14, "$h_{t-1}$")
    _label(ax, left - 0.25, lower + 0.14, "$x_t$")
    ax.plot([left, spots[-1]], [lower, lower], color=GREY, linewidth=1.5, zorder=2)
    for x, (sign, name) in zip(spots, gates, strict=True):
        _arrow(ax, (x, lower), (x, top + 1.13))
        _box(ax, x - 0.32, top + 0.82, 0.64, 0.31, sign, colour)
        if name:
            ax.text(x + 0.09, top + 1.24, name, fontsize=SMALL, color=GREY, va="center", ha="left")
    end = left + wide
    if kind == "rnn":
        _arrow(ax, (spots[0], top + 0.82), (spots[0], upper), head=False)
        _arrow(ax, (spots[0], upper), (end + 0.12, upper))
        _label(ax, end + 0.35, upper, "$h_t$")
        return
    _label(ax, left - 0.25, upper, f"${state}_{{t-1}}$")
    _arrow(ax, (left, upper), (end + 0.12, upper))
    _label(ax, end + 0.35, upper, f"${state}_t$")
    if kind == "lstm":
        f, i, g, o = spots
        _sign(ax, f, upper, "×")
        _arrow(ax, (f, top + 0.82), (f, upper + 0.13))
        _sign(ax, (i + g) / 2, upper, "+")
        _sign(ax, (i + g) / 2, top + 0.6, "×")
        _arrow(ax, (i, top + 0.82), ((i + g) / 2 - 0.11, top + 0.66))
        _arrow(ax, (g, top + 0.82), ((i + g) / 2 + 0.11, top + 0.66))
        _arrow(ax, ((i + g) / 2, top + 0.47), ((i + g) / 2, upper + 0.13))
        out = o + 0.72
        ax.plot([out, out], [upper, top + 0.84], color=GREY, linewidth=1.5, zorder=2)
        ax.text(out + 0.07, top + 0.56, "tanh", fontsize=SMALL, color=GREY, va="center")
        _sign(ax, out, top + 0.97, "×")
        _arrow(ax, (o + 0.32, top + 0.97), (out - 0.13, top + 0.97))
        ax.plot([out, out], [top + 1.1, lower], color=GREY, linewidth=1.5, zorder=2)
        _arrow(ax, (out, lower), (end + 0.12, lower))
        _label(ax, end + 0.35, lower, "$h_t$")
        return
    _gru(ax, spots, top, upper, lower)


def _gru(ax: Axes, spots: Sequence[float], top: float, upper: float, lower: float) -> None:
    """As its equations say: r weighs what the candidate sees of the old state, and z mixes the old state with it."""
    z, r, n = spots
    seen, mixed = (r + n) / 2, n + 0.85
    _sign(ax, z, upper, "×")
    _arrow(ax, (z, top + 0.82), (z, upper + 0.13))
    ax.text(z + 0.08, top + 0.62, "z", fontsize=SMALL, color=GREY, va="center")
    _sign(ax, seen, top + 0.97, "×")
    _arrow(ax, (r + 0.32, top + 0.97), (seen - 0.13, top + 0.97))
    ax.text(r + 0.38, top + 0.86, "r", fontsize=SMALL, color=GREY, va="center")
    _arrow(ax, (seen, lower), (seen, top + 1.1))
    ax.text(seen + 0.08, top + 1.26, "h", fontsize=SMALL, color=GREY, va="center")
    _arrow(ax, (seen + 0.13, top + 0.97), (n - 0.32, top + 0.97))
    ax.text(n - 0.08, top + 1.26, "x", fontsize=SMALL, color=GREY, va="center", ha="right")
    _sign(ax, n, top + 0.6, "×")
    ax.text(n - 0.17, top + 0.6, "1 − z", fontsize=SMALL, color=GREY, va="center", ha="right")
    _arrow(ax, (n, top + 0.82), (n, top + 0.73), head=False)
    _sign(ax, mixed, upper, "+")
    _arrow(ax, (n + 0.1, top + 0.5), (mixed - 0.12, upper + 0.07))


def _box(ax: Axes, left: float, top: float, wide: float, tall: float, text: str, colour: str) -> None:
    ax.add_patch(
        FancyBboxPatch(
            (left, top),
            wide,
            tall,
            boxstyle="round,pad=0,rounding_size=0.06",
            facecolor=colour,
            edgecolor=PALE,
            gid="keep",
            zorder=3,
        )
    )
    ax.text(
        left + wide / 2,
        top + tall / 2,
        text,
        fontsize=SMALL,
        color="#1f2328",
        ha="center",
        va="center",
        gid="keep",
        zorder=4,
    )


def _sign(ax: Axes, x: float, y: float, text: str) -> None:
    ax.add_patch(Circle((x, y), 0.13, facecolor="white", edgecolor=BLUE, linewidth=1.5, zorder=3))
    ax.text(x, y + 0.005, text, fontsize=SMALL, color=INK, ha="center", va="center", zorder=4)


def _label(ax: Axes, x: float, y: float, text: str) -> None:
    ax.text(x, y, text, fontsize=TEXT, color=INK, ha="center", va="center")


def _arrow(
    ax: Axes, start: tuple[float, float], end: tuple[float, float], head: bool = True, behind: bool = False
) -> None:
    ax.annotate(
        "", end, start, zorder=1 if behind else 2,
        arrowprops={"arrowstyle": "-|>" if head else "-", "color": GREY, "linewidth": 1.5, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 11},
    )  # fmt: skip


def _frame(ax: Axes, left: float, top: float, wide: float, tall: float) -> None:
    ax.add_patch(
        FancyBboxPatch(
            (left, top),
            wide,
            tall,
            boxstyle="round,pad=0,rounding_size=0.1",
            facecolor="white",
            edgecolor=PALE,
            linewidth=1.2,
        )
    )
