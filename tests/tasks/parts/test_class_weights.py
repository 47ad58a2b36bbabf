"""Weights of classes, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.errors import UserError
from experiments.tasks.parts.class_weights import class_weights


def test_balanced_weights_are_scikit_learn_s() -> None:
    sklearn = pytest.importorskip("sklearn.utils.class_weight")
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    wanted = sklearn.compute_class_weight("balanced", classes=np.arange(3), y=labels)
    weights = class_weights("balanced", [60, 30, 10], 3)
    assert weights is not None and weights.tolist() == pytest.approx(wanted)


def test_a_class_that_is_not_there_changes_no_other() -> None:
    weights = class_weights("balanced", [3, 0, 1], 3)
    assert weights is not None and weights[[0, 2]].tolist() == pytest.approx([4 / 6, 4 / 2])


def test_given_weights_and_none() -> None:
    assert class_weights(None, [1, 2], 2) is None and class_weights("balanced", None, 2) is None
    weights = class_weights([1, 0.5], None, 2)
    assert weights is not None and weights.tolist() == [1.0, 0.5]
    for wrong in ("even", [1], [-1, 1], [0, 0], [float("nan"), 1], [float("inf"), 1]):
        with pytest.raises(UserError, match=r"task\.class_weights"):
            class_weights(wrong, [1, 2], 2)
