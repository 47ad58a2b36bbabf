"""Weights of classes in a loss: given one by one, or balanced by the classes' counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from experiments.errors import UserError


def class_weights(given: Sequence[float] | str | None, counts: Sequence[int] | None, classes: int) -> Tensor | None:
    """Turn the key `task.class_weights` into weights (classes,), or None for equal ones.

    Args:
        given: null; one weight a class; or "balanced", for weights inversely proportional to the counts.
        counts: examples or pixels of each class in the training split; None where nobody knows them any more.
        classes: their number.

    Raises:
        UserError: for another word, or another number of weights.
    """
    if given is None or (given == "balanced" and counts is None):
        return None
    if given == "balanced":
        seen = torch.tensor(counts, dtype=torch.float32)
        return seen.sum() / ((seen > 0).sum() * seen.clamp(min=1))
    if isinstance(given, str):
        raise UserError(f"task.class_weights={given} is unknown: use null, balanced, or one weight a class")
    weights = torch.tensor([float(weight) for weight in given])
    if len(weights) != classes:
        raise UserError(
            f"task.class_weights has {len(weights)} values and the data {classes} classes: give one weight a class"
        )
    if not bool((weights >= 0).all() and weights.isfinite().all() and weights.any()):
        raise UserError(
            f"task.class_weights={list(given)} must be numbers, 0 or more, and not all 0: try task.class_weights=balanced"
        )
    return weights


def counts_where_balanced(settings: Mapping[str, Any], data: Any) -> dict[str, Any]:
    """Give `class_counts` of the data as a keyword argument, where the settings ask for balanced weights."""
    counts = data.class_counts if settings.get("class_weights") == "balanced" else None
    return {} if counts is None else {"class_counts": [int(count) for count in counts]}
