"""Panels of every classifier: where examples lie before the head, and which classes are taken for which."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from experiments.commands.show.panel import Look, NotShown, Panel, Picture
from experiments.commands.show.survey import label_of, survey, test_data
from experiments.spec import ImageSpec

_PAIRS = 3  # of classes, whose confusions are shown as images


def embedding(look: Look) -> Iterator[Picture]:
    """Test examples as the head sees them, in the plane by PCA and t-SNE; and files for TensorBoard's projector."""
    from experiments.commands.show.projector import write_projector
    from experiments.viz.embedding import embedding as draw

    surveyed, classes, label = survey(look), look.run.spec.classes, label_of(look)
    features = surveyed.features.numpy().astype(np.float64)
    if len(features) < 4:
        raise NotShown(f"an embedding needs 4 examples or more, not {len(features)}")
    points, share = _planes(features)
    drawn = draw(
        points,
        surveyed.targets,
        classes,
        highlight=label,
        title="Embedding of the test set",
        note=f"{len(features):,} examples, {features.shape[1]:,} features before the head",
    )
    write_projector(look.folder, surveyed, classes)
    caption = (
        f"A point is a test example, its colour the true class. PCA keeps {share:.0%} of the variance in these two "
        "directions; t-SNE keeps neighbours together, and its distances between groups mean little."
    )
    yield Picture("embedding", "Where test examples lie", caption, drawn)


def _planes(features: np.ndarray) -> tuple[dict[str, np.ndarray], float]:
    """Return two projections of (N, D) to (N, 2), and the share of variance that PCA's keeps."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    count = min(50, *features.shape)
    pca = PCA(count, svd_solver="full" if min(features.shape) <= 500 else "randomized", random_state=0)
    reduced = pca.fit_transform(features)
    plane = reduced[:, :2] if count > 1 else np.concatenate([reduced, np.zeros_like(reduced)], axis=1)
    share = float(pca.explained_variance_ratio_[:2].sum())
    tsne = TSNE(2, perplexity=min(30, (len(features) - 1) / 3), init="pca" if count > 1 else "random", random_state=0)
    return {"PCA": plane, "t-SNE": tsne.fit_transform(reduced)}, share


def confusion(look: Look) -> Iterator[Picture]:
    """Yield the confusion matrix of the whole test, and images of the most frequent confusions."""
    from experiments.viz.confusion import confusion as draw

    classes = look.run.spec.classes
    table = look.recorded("confusion", shape=(len(classes), len(classes)))
    if not look.run.record:
        test_data(look)
    if table is None:
        raise NotShown("its record holds no confusion matrix, as it was never tested")
    table = table.astype(np.int64)
    caption = (
        "Rows are true classes, columns predicted ones, over the whole test set; the shade is the share of the row."
    )
    yield Picture("confusion", "Which class is taken for which", caption, draw(table, classes))
    if isinstance(look.run.spec, ImageSpec):
        yield from _confused(look, table)


def _confused(look: Look, table: np.ndarray) -> Iterator[Picture]:
    """Images of the most frequent confusions, or of those of the class asked for."""
    from experiments.viz.images import wrong

    test_data(look)
    spec, surveyed, label = look.run.spec, survey(look), label_of(look)
    chances = surveyed.scores.softmax(1)
    best, predicted = (column.numpy() for column in chances.max(1))
    off = table * (1 - np.eye(len(table), dtype=table.dtype))
    if label is not None:
        off = np.where((np.arange(len(off))[:, None] == label) | (np.arange(len(off)) == label), off, 0)
    shown = 0
    for cell in np.argsort(-off, axis=None, kind="stable"):
        true, guess = divmod(int(cell), len(table))
        picked = np.flatnonzero((surveyed.targets == true) & (predicted == guess))
        if shown == _PAIRS or not off[true, guess]:
            return
        if not len(picked):  # outside the split that was looked at
            continue
        shown += 1
        picked = picked[np.argsort(-best[picked], kind="stable")][:8]
        images, _ = look.run.data.examples("test", surveyed.indices[picked])
        names = (spec.classes[true], spec.classes[guess])
        drawn = wrong(
            images,
            [names[1]] * len(picked),
            best[picked].tolist(),
            [names[0]] * len(picked),
            mean=spec.mean,
            std=spec.std,
            title=f"{names[0]} taken for {names[1]}",
        )
        caption = f"{int(off[true, guess]):,} of {int(table[true].sum()):,} test examples of {names[0]}; the surest mistakes first."
        yield Picture(f"confused_{shown}", f"{names[0]} taken for {names[1]}", caption, drawn)


PANELS = (
    Panel("embedding", "Embedding of the test set", embedding),
    Panel("confusion", "Confusion between classes", confusion),
)
