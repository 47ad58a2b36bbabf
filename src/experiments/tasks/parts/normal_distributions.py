"""How far normal distributions are from each other."""

from __future__ import annotations

import torch
from torch import Tensor


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Of normal distributions from the standard one, in nats for each dimension: twice (B, D) -> (B, D)."""
    mean, log_variance = mean.float(), log_variance.float()
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)


def frechet(first: Tensor, second: Tensor) -> float:
    """Squared Fréchet distance of normal distributions fitted to two sets of features, each (N, D) (Heusel et al., 2017)."""
    means = [rows.double().mean(0) for rows in (first, second)]
    a, b = (torch.cov(rows.double().t()) for rows in (first, second))
    # The trace of (a b)^½ is that of (a^½ b a^½)^½, which is symmetric.
    values, vectors = torch.linalg.eigh(a)
    root = vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.t()
    cross = torch.linalg.eigvalsh(root @ b @ root).clamp(min=0).sqrt().sum()
    return float((means[0] - means[1]).square().sum() + a.trace() + b.trace() - 2 * cross)
