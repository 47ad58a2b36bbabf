"""What codes are good for: nearest neighbours, what a few labels teach, and whether neighbours stay neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

NEIGHBOURS, DRAWS = 5, 5


def knn_accuracy(train: Tensor, labels: Tensor, test: Tensor, truth: Tensor) -> float:
    """Share of test codes whose five nearest training codes name their class: (N, D), (N,), (M, D), (M,)."""
    from sklearn.neighbors import KNeighborsClassifier

    classifier = KNeighborsClassifier(min(NEIGHBOURS, len(train))).fit(train.numpy(), labels.numpy())
    return float(classifier.score(test.numpy(), truth.numpy()))


def trustworthiness(pixels: Tensor, codes: Tensor) -> float:
    """Venna and Kaski, 2001: from 0 to 1, less where codes are neighbours whose images, (N, C, H, W), are not."""
    from sklearn.manifold import trustworthiness as measure

    if len(codes) <= 2 * NEIGHBOURS:
        return float("nan")
    return float(measure(pixels.flatten(1).numpy(), codes.numpy(), n_neighbors=NEIGHBOURS))


def few_labels(
    features: Mapping[str, tuple[Tensor, Tensor]],
    labels: Tensor,
    truth: Tensor,
    counts: Sequence[int],
    linear: bool = True,
) -> dict[str, list[float]]:
    """Accuracy of a classifier taught by a few labelled examples, evenly over the classes; a mean over five draws.

    The linear one is ridge regression on the classes, because that is solved at once, where logistic regression would take
    minutes; how strongly it is held back is chosen by leaving out one labelled example at a time, for each kind of feature
    by itself. The other one gives the class of the nearest labelled example.

    Args:
        features: name -> training (N, D) and test (M, D) features.
        labels: (N,) of the training examples.
        truth: (M,) of the test examples.
        counts: numbers of labelled examples, each at least two a class; those that are too large are left out.
        linear: which of the two.

    Returns:
        name -> an accuracy for each count.
    """
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.neighbors import KNeighborsClassifier

    classes = torch.unique(labels).tolist()
    least = min(int((labels == label).sum()) for label in classes)
    accuracies: dict[str, list[float]] = {name: [] for name in features}
    for count in counts:
        each = count // len(classes)
        if not 2 <= each <= least:
            continue
        sums = dict.fromkeys(features, 0.0)
        for draw in range(DRAWS):
            random = np.random.default_rng([draw, count])
            groups = [random.choice(np.flatnonzero(labels.numpy() == label), each, replace=False) for label in classes]
            chosen = torch.from_numpy(np.concatenate(groups))
            for name, (train, test) in features.items():
                scale = train.std().clamp(min=1e-9)
                x, y = (train[chosen] / scale).double().numpy(), labels[chosen].numpy()
                model = RidgeClassifierCV(alphas=np.logspace(-2, 4, 13)) if linear else KNeighborsClassifier(1)
                model.fit(x, y)
                sums[name] += float(model.score((test / scale).numpy(), truth.numpy()))
        for name, total in sums.items():
            accuracies[name].append(total / DRAWS)
    return accuracies


def usable(counts: Sequence[int], labels: Tensor) -> list[int]:
    """Return those numbers of labelled examples that `few_labels` can draw."""
    classes = torch.unique(labels)
    least = min(int((labels == label).sum()) for label in classes)
    return [count for count in counts if 2 <= count // len(classes) <= least]
