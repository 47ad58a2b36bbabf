"""Pictures of what a decoder makes of codes: samples, walks, the plane of a two-dimensional latent space."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Decoder = Callable[[Tensor], Tensor]  # (N, D) codes -> (N, C, H, W) pixels


def draw_divergence(by_dimension: Tensor, collapsed: float) -> Figure:
    """Return a bar a latent dimension, the most telling first; those below `collapsed` nats are marked."""
    from experiments.viz.charts import bars

    order = by_dimension.argsort(descending=True)
    values = by_dimension[order].tolist()
    silent = [place for place, value in enumerate(values) if value < collapsed]
    note = f"{len(silent)} of {len(values)} collapsed (×)"
    return bars(values, "dimension, by rank", "nats", title="KL by dimension", note=note, pale=silent)


def draw_samples(decode: Decoder, size: int, columns: int) -> Figure:
    """Codes drawn from the prior."""
    from experiments.viz.strips import strips

    made = decode(torch.randn(5 * columns, size, generator=torch.Generator().manual_seed(0)))
    return strips([("", row) for row in made.split(columns)], title="Samples", note="codes drawn from the prior")


def draw_by_class(decode: Decoder, codes: Tensor, labels: Tensor, classes: tuple[str, ...], columns: int) -> Figure:
    """Codes drawn from a normal distribution fitted to each class's codes; ten classes at most."""
    from experiments.viz.strips import strips

    rows, generator = [], torch.Generator().manual_seed(0)
    for label in torch.unique(labels).tolist()[:10]:
        mine = codes[labels == label].double()
        if len(mine) < 2:
            continue
        values, vectors = torch.linalg.eigh(torch.cov(mine.t()).view(mine.shape[1], mine.shape[1]))
        noise = torch.randn(columns, mine.shape[1], generator=generator, dtype=torch.float64)
        drawn = mine.mean(0) + noise * values.clamp(min=0).sqrt() @ vectors.t()
        rows.append((classes[label], decode(drawn.float())))
    if not rows:
        rows = [("", decode(codes[:1]))]
    note = "a normal distribution fitted to each class's codes"
    return strips(rows, title="Samples by class", note=note)


def draw_traversals(decode: Decoder, codes: Tensor, by_dimension: Tensor, steps: int) -> Figure:
    """Return the first code with one dimension moved from -3 to 3, for the eight most telling dimensions."""
    from experiments.viz.strips import strips

    values = torch.linspace(-3, 3, steps)
    rows = []
    for dimension in by_dimension.argsort(descending=True)[:8].tolist():
        moved = codes[:1].repeat(steps, 1)
        moved[:, dimension] = values
        rows.append((f"dimension {dimension}", decode(moved)))
    return strips(
        rows, [f"{value:+.1f}" for value in values.tolist()], title="Traversals", note="of one test image's code"
    )


def draw_interpolations(decode: Decoder, codes: Tensor, labels: Tensor, steps: int) -> Figure:
    """Straight lines between codes of test images, each to the next one of another class."""
    from experiments.viz.strips import strips

    rows, share = [], torch.linspace(0, 1, steps)[:, None]
    for start in range(min(8, len(codes) - 1)):
        other = next((i for i in range(start + 1, len(codes)) if labels[i] != labels[start]), start + 1)
        rows.append(("", decode(torch.lerp(codes[start : start + 1], codes[other : other + 1], share))))
    return strips(rows or [("", decode(codes[:1]))], title="Interpolations", note="between codes of two test images")


def draw_manifold(decode: Decoder, side: int = 20) -> Figure:
    """Return the plane of a two-dimensional latent space, at the quantiles of the prior."""
    from experiments.viz.strips import strips

    places = torch.special.ndtri(torch.linspace(0.02, 0.98, side))
    rows = []
    for y in reversed(places.tolist()):
        codes = torch.stack([places, torch.full((side,), y)], dim=1)
        rows.append(("", decode(codes)))
    return strips(rows, title="Manifold", note="of two latent numbers, at the prior's quantiles", tight=True)
