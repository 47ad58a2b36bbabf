"""How large the gradient is at each step of training."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from experiments.viz.canvas import BLUE, INK, SMALL, above_rounding, add_axes, figure, quiet

LARGEST = 1e38  # as which the callback writes what is no finite number


def gradient_by_step(norms: Sequence[float]) -> Figure:
    """Return the norm of the gradient against the step, on a logarithmic scale.

    Args:
        norms: one a step, the first step first, before any clipping.
    """
    width, height = 9.0, 4.2
    capped = "; 1e38 stands for what is no finite number" if max(norms) >= LARGEST else ""
    fig = figure(width, height, "Gradient by step", f"norm over all layers, before any clipping{capped}")
    ax = add_axes(fig, 0.95, 0.75, width - 1.4, height - 1.5)
    quiet(ax)
    ax.set_yscale("log")
    line = above_rounding(norms)
    ax.plot(
        range(1, len(line) + 1), line, color=BLUE, linewidth=1.6, marker="o" if len(line) <= 60 else "", markersize=3
    )
    ax.set_xlabel("step", fontsize=SMALL, color=INK)
    ax.set_ylabel("norm", fontsize=SMALL, color=INK)
    return fig
