"""What a code is good for besides reconstruction: its neighbours, and what a few labels teach on it; PCA and pixels beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from experiments.tasks.peers.neighbours import few_labels, knn_accuracy, trustworthiness, usable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXAMPLES = 10_000  # of training at most
NAMES = (
    "knn_accuracy", "pca_knn_accuracy", "trustworthiness", "pca_trustworthiness",
    "few_labels_accuracy", "pca_few_labels_accuracy", "pixels_few_labels_accuracy",
    "few_labels_nearest_accuracy", "pca_few_labels_nearest_accuracy", "pixels_few_labels_nearest_accuracy",
)  # fmt: skip


def probe(
    ours: tuple[Tensor, Tensor],
    pca: tuple[Tensor, Tensor],
    pixels: tuple[Tensor, Tensor],
    labels: tuple[Tensor, Tensor],
    counts: Sequence[int],
) -> tuple[dict[str, float], dict[str, Any], dict[str, Callable[[], Figure | None]]]:
    """Metrics, what the record keeps, and a picture.

    Args:
        ours: codes of training (N, D) and of test (M, D).
        pca: likewise.
        pixels: (N, C, H, W) and (M, C, H, W).
        labels: (N,) and (M,).
        counts: numbers of labelled examples; the accuracy for the first is a metric.
    """
    values = {}
    for prefix, (known_codes, new) in (("", ours), ("pca_", pca)):
        values[f"{prefix}knn_accuracy"] = knn_accuracy(known_codes, labels[0], new[:2000], labels[1][:2000])
        values[f"{prefix}trustworthiness"] = trustworthiness(pixels[1][:1000], new[:1000])
    features = {"codes": ours, "PCA": pca, "pixels": (pixels[0].flatten(1), pixels[1].flatten(1))}
    possible = usable(counts, labels[0])
    scores = {}
    names = {"codes": "", "PCA": "pca_", "pixels": "pixels_"}
    for kind, linear in (("", True), ("nearest", False)):
        accuracies = few_labels(features, labels[0], labels[1], possible, linear)
        for name, some in accuracies.items():
            scores[f"{name}, {kind}" if kind else name] = some
            if possible and possible[0] == counts[0]:
                values[f"{names[name]}few_labels_{'nearest_' if kind else ''}accuracy"] = some[0]
    figures = {"few_labels": {"labels": possible, **scores}}
    return values, figures, {"few_labels": lambda: _draw(possible, scores)} if possible else {}


def _draw(counts: Sequence[int], scores: Mapping[str, Sequence[float]]) -> Figure:
    from experiments.viz.charts import lines

    series = {name: (list(counts), list(values)) for name, values in scores.items()}
    note = "ridge regression or the nearest labelled example, mean of five draws"
    return lines(series, "labelled examples", "test accuracy", title="Few labels", note=note, logarithmic=True)
