"""How closely two lists of numbers go together: Pearson's and Spearman's coefficients over all examples of a dataset."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat


def pearson(x: Tensor, y: Tensor) -> Tensor:
    """Return the correlation of (N,) and (N,); 0 where either does not vary."""
    x, y = x.double() - x.double().mean(), y.double() - y.double().mean()
    scale = x.norm() * y.norm()
    return torch.where(scale > 1e-12, (x @ y) / scale.clamp(min=1e-12), 0.0).float()


def ranks(values: Tensor) -> Tensor:
    """(N,) -> (N,): places in ascending order, equal values sharing the mean of theirs."""
    _, place, counts = values.unique(return_inverse=True, return_counts=True)
    ends = counts.cumsum(0).double()
    return (ends - (counts.double() - 1) / 2)[place]


class Correlation(Metric):
    """Of predictions (N, 1) or (N,) with targets of the same shape.

    Args:
        ranked: Spearman's coefficient, which asks for the order alone, in place of Pearson's.
    """

    full_state_update = False
    predictions: Any
    targets: Any

    def __init__(self, ranked: bool) -> None:
        super().__init__()
        self.ranked = ranked
        self.add_state("predictions", [], dist_reduce_fx="cat")
        self.add_state("targets", [], dist_reduce_fx="cat")

    def update(self, prediction: Tensor, target: Tensor) -> None:
        self.predictions.append(prediction.detach().float().flatten())
        self.targets.append(target.float().flatten())

    def compute(self) -> Tensor:
        both = dim_zero_cat(self.predictions), dim_zero_cat(self.targets)
        return pearson(*map(ranks, both)) if self.ranked else pearson(*both)


class Retrieval(Metric):
    """Share of texts whose partner is the nearest of all, by cosine; the mean over both directions."""

    full_state_update = False
    firsts: Any
    seconds: Any

    def __init__(self) -> None:
        super().__init__()
        self.add_state("firsts", [], dist_reduce_fx="cat")
        self.add_state("seconds", [], dist_reduce_fx="cat")

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Unit vectors of both texts of each pair (B, 2, D); a target is not read."""
        self.firsts.append(prediction[:, 0].detach().float())
        self.seconds.append(prediction[:, 1].detach().float())

    def compute(self) -> Tensor:
        first, second = dim_zero_cat(self.firsts), dim_zero_cat(self.seconds)
        right = torch.zeros((), dtype=torch.float64)
        for query, among in ((first, second), (second, first)):
            for start in range(0, len(query), 1024):
                nearest = (query[start : start + 1024] @ among.T).argmax(1).cpu()
                right += nearest.eq(torch.arange(start, start + len(nearest))).sum()
        return (right / (2 * len(first))).float()
