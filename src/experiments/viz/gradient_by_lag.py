"""How far back a gradient reaches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from experiments.viz.canvas import BLUE, GREEN, INK, ORANGE, SMALL, TEXT, above_rounding, add_axes, figure, quiet


def gradient_reach(norms: Mapping[int, Sequence[float]]) -> Figure:
    """Return the norm of the gradient by the state against the steps back from the end, on a logarithmic scale.

    Args:
        norms: epochs trained to a norm a step, first step first; drawn are the start, the middle and the end.
    """
    epochs = sorted(norms)
    chosen = list(dict.fromkeys([epochs[0], epochs[len(epochs) // 2], epochs[-1]]))
    width, height = 9.0, 4.6
    fig = figure(width, height, "Gradient by the state", "against the steps back from the end")
    ax = add_axes(fig, 0.95, 0.75, width - 3.1, height - 1.5)
    quiet(ax)
    ax.set_yscale("log")
    for row, (epoch, colour) in enumerate(zip(chosen, (BLUE, ORANGE, GREEN), strict=False)):
        line = above_rounding(norms[epoch])
        ax.plot(range(len(line) - 1, -1, -1), line, color=colour, linewidth=2.2)
        name = "at the start" if epoch == 0 else f"after {epoch} epoch{'s' if epoch > 1 else ''}"
        fig.text(1 - 2.0 / width, 0.78 - 0.08 * row, f"● {name}", fontsize=TEXT, color=colour, weight="bold")
    ax.set_xlabel("steps back", fontsize=SMALL, color=INK)
    ax.set_ylabel("mean norm", fontsize=SMALL, color=INK)
    return fig
