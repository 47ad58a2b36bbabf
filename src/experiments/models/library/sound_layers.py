"""Layers of networks that read raw sound by steps: those of Wav2Vec 2.0, HuBERT and WavLM, pooling and scores of symbols."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from experiments.batches import Sequences


class Wav2Vec2Layer(nn.Module):
    """One layer of the transformer: (B, steps, hidden) -> the same.

    Args:
        layer: the library's.
        drop: share of the steps of training that skip it.
    """

    def __init__(self, layer: nn.Module, drop: float) -> None:
        super().__init__()
        if not 0 <= drop < 1:
            raise ValueError(f"model.layerdrop={drop} must lie in [0, 1): try model.layerdrop=0.1")
        self.layer, self.drop = layer, drop

    def forward(self, x: Sequences) -> Sequences:
        inside = x.mask()
        whole = not torch.compiler.is_compiling() and bool(inside.all())
        out = self.attend(x.values, None if whole else inside)
        if self.training and self.drop:  # a layer that is skipped stays in the graph, for processes that work together
            out = torch.where(torch.rand((), device=out.device) < self.drop, x.values, out)
        return Sequences(out, x.lengths)

    def attend(self, values: Tensor, inside: Tensor | None) -> Tensor:
        """Map (B, steps, hidden) -> the same; `inside` (B, steps) tells steps from padding, None: there is none."""
        out = self.layer(values, attention_mask=None if inside is None else inside[:, None, None])
        return out[0] if isinstance(out, tuple) else out


class WavLMLayer(Wav2Vec2Layer):
    """One layer of WavLM, whose attention knows how far apart two steps are: (B, steps, hidden) -> the same.

    Args:
        layer: the library's.
        first: the library's first layer, whose table of distances serves all.
        drop: as in `Wav2Vec2Layer`.
    """

    def __init__(self, layer: nn.Module, first: nn.Module, drop: float) -> None:
        super().__init__(layer, drop)
        self.distances: tuple[Any, ...] = (first.attention,)  # in a tuple, as it is a part of the first stage alone

    def attend(self, values: Tensor, inside: Tensor | None) -> Tensor:
        bias = self.distances[0].compute_bias(values.shape[1], values.shape[1])  # (heads, steps, steps)
        rows = bias.repeat(len(values), 1, 1)
        return self.layer(values, attention_mask=inside, position_bias=rows)[0]


class Norm(nn.Module):
    """Layer norm behind the last layer: (B, steps, hidden) -> the same."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Sequences) -> Sequences:
        return Sequences(self.norm(x.values), x.lengths)


class MeanOverTime(nn.Module):
    """The mean over a recording's own steps: (B, steps, hidden) -> (B, hidden)."""

    plain = True  # depends on its input alone, so that it may be the last stage that is computed once

    def forward(self, x: Sequences) -> Tensor:
        return x.values.masked_fill(~x.mask()[..., None], 0.0).sum(1) / x.lengths[:, None]


class LetterScores(nn.Module):
    """Scores of the blank and the symbols at each step: (B, steps, hidden) -> (B, steps, num_classes)."""

    def __init__(self, features: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.dropout, self.scores = nn.Dropout(dropout), nn.Linear(features, num_classes)

    def forward(self, x: Sequences) -> Sequences:
        return Sequences(self.scores(self.dropout(x.values)), x.lengths)
