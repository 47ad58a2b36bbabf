"""Convolution over words: Kim, "Convolutional neural networks for sentence classification" (2014)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from experiments.batches import Sequences
from experiments.models.recurrent_layer import TokenEmbedding


class WordWindows(nn.Module):
    """Filters of several widths over a sequence, each one's largest answer: values (B, T, size) -> (B, filters * widths).

    A window counts if it touches the sequence at all, so padding never changes an answer.

    Args:
        size: length of a token's vector.
        widths: tokens that a filter sees.
        filters: of each width.
        dropout: share of the answers dropped while training.
    """

    def __init__(self, size: int, widths: Sequence[int], filters: int, dropout: float) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv1d(size, filters, width, padding=width - 1) for width in widths)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Sequences) -> Tensor:
        values = x.values.masked_fill(~x.mask()[..., None], 0.0).transpose(1, 2)  # (B, size, T)
        answers = []
        for convolution in self.convolutions:
            answer = convolution(values).relu()  # (B, filters, T + width - 1)
            places = torch.arange(answer.shape[2], device=answer.device)
            beyond = places >= (x.lengths + (answer.shape[2] - values.shape[2]))[:, None]
            answers.append(answer.masked_fill(beyond[:, None], 0.0).amax(dim=2))  # no answer is below zero
        return self.dropout(torch.cat(answers, dim=1))


class TextCNN(nn.Sequential):
    """Stages `embedding`, `windows`, `head`: tokens -> (B, num_classes).

    Deviations from the paper: the words' vectors are learned from random ones, and filters are not kept to a norm.

    Args:
        vocabulary: number of tokens.
        num_classes: length of the output.
        embedding: length of a token's vector.
        widths: tokens that a filter sees.
        filters: of each width.
        input_dropout: share of the vectors' entries dropped.
        dropout: share of the filters' answers dropped.

    Raises:
        ValueError: when a width is below 1 or none is given.
    """

    def __init__(
        self,
        vocabulary: int,
        num_classes: int = 2,
        *,
        embedding: int,
        widths: Sequence[int],
        filters: int,
        input_dropout: float,
        dropout: float,
    ) -> None:
        if not widths or min(widths) < 1:
            raise ValueError(f"model.widths={list(widths)} needs widths of 1 or more: try model.widths=[3,4,5]")
        super().__init__(
            OrderedDict(
                embedding=TokenEmbedding(vocabulary, embedding, input_dropout),  # (B, T, embedding)
                windows=WordWindows(embedding, widths, filters, dropout),  # (B, filters * widths)
                head=nn.Linear(filters * len(widths), num_classes),  # (B, num_classes)
            )
        )
