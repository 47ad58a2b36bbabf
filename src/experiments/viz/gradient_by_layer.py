"""How large the gradient of each layer is, from the first layer to the last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from experiments.viz.canvas import BLUE, GREEN, INK, ORANGE, SMALL, TEXT, above_rounding, add_axes, figure, quiet

MOST = 12  # names below the axis


def gradient_by_layer(layers: Sequence[str], norms: Mapping[int, Sequence[float]]) -> Figure:
    """Return the norm of the gradient against the layer, on a logarithmic scale.

    Args:
        layers: their names, first layer first.
        norms: epochs trained to a norm a layer; 0 is the first step. Drawn are the first step, the first epoch and the last.
    """
    epochs = sorted(norms)
    chosen = list(dict.fromkeys([epochs[0], *epochs[1:2], epochs[-1]]))
    names = max(len(name) for name in layers)
    width, below = 9.0, min(0.4 + 0.055 * names, 2.2)
    height = 4.2 + below
    fig = figure(width, height, "Gradient by layer", "norm, from the first layer to the last")
    ax = add_axes(fig, 0.95, below, width - 3.1, height - below - 0.75)
    quiet(ax)
    ax.set_yscale("log")
    for row, (epoch, colour) in enumerate(zip(chosen, (BLUE, ORANGE, GREEN), strict=False)):
        line = above_rounding(norms[epoch])
        ax.plot(range(1, len(line) + 1), line, color=colour, linewidth=2.2, marker="o", markersize=3)
        name = "at the first step" if epoch == 0 else f"in epoch {epoch}"
        fig.text(1 - 2.0 / width, 0.78 - 0.08 * row, f"● {name}", fontsize=TEXT, color=colour, weight="bold")
    last, every = len(layers) - 1, -(-len(layers) // MOST)
    places = [*(place for place in range(0, last, every) if last - place >= every), last]
    ax.set_xticks([place + 1 for place in places], [layers[place] for place in places], rotation=45, ha="right")
    ax.tick_params(axis="x", labelsize=9)
    ax.set_ylabel("norm", fontsize=SMALL, color=INK)
    return fig
