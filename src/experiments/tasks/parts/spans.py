"""Answers as spans of a passage: from the scores of first and last tokens to text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class AnswerSpan(NamedTuple):
    """An answer in one window: its first and last token, and the sum of their scores."""

    score: float
    window: int
    first: int
    last: int


def best_spans(scores: Tensor, longest: int, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the best answers of each window, none of them "no answer": sums of scores, first and last tokens, (B,
    count) each.

    Args:
        scores: (B, T, 2), minus infinity where no answer can begin or end.
        longest: tokens of an answer, at most.
        count: answers wanted.
    """
    first, last = scores[..., 0].clone(), scores[..., 1].clone()
    first[:, 0] = last[:, 0] = -torch.inf
    # A row an answer's first token, a column its length: (B, T, longest).
    ends = F.pad(last, (0, longest - 1), value=-torch.inf).unfold(1, longest, 1)
    sums = (first[..., None] + ends).flatten(1)
    best, places = sums.topk(min(count, sums.shape[1]), dim=1)
    return best, places // longest, places // longest + places % longest


def text_of(span: AnswerSpan, windows: Sequence[Any], passage: str) -> str:
    """Return the letters of the passage that an answer covers."""
    window = windows[span.window]
    inside = len(window.spans)
    first, last = span.first - window.begins, span.last - window.begins
    if not (0 <= first < inside and 0 <= last < inside):
        return ""
    return passage[window.spans[first][0] : window.spans[last][1]]
