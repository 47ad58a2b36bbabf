"""The isolation forest (Liu, Ting and Zhou, 2008), by scikit-learn."""

from __future__ import annotations

import torch
from torch import Tensor


def forest_scores(train: Tensor, test: Tensor) -> Tensor:
    """Tell how unusual test images are for a forest grown on training images: (N, C, H, W), (M, C, H, W) -> (M,)."""
    from sklearn.ensemble import IsolationForest

    forest = IsolationForest(n_estimators=100, random_state=0).fit(train[:20_000].flatten(1).numpy())
    return torch.from_numpy(-forest.score_samples(test.flatten(1).numpy())).float()
