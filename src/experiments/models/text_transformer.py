"""A small transformer encoder over tokens.

Vaswani et al., "Attention is all you need" (2017), with normalisation before each block (Xiong et al., "On layer
normalization in the transformer architecture", 2020).
"""

from __future__ import annotations

import math
from collections import OrderedDict

import torch
from torch import Tensor, nn

from experiments.batches import PADDING, Sequences
from experiments.models.recurrent import Pooling


def sinusoids(length: int, size: int, device: torch.device) -> Tensor:
    """(length, size): sines and cosines of wavelengths from 2π to 20,000π."""
    places = torch.arange(length, device=device, dtype=torch.float32)[:, None]
    half = (size + 1) // 2
    rates = torch.exp(torch.arange(half, device=device, dtype=torch.float32) * (-math.log(10000.0) / max(1, half)))
    angles = places * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)[:, :size]


class PlacedEmbedding(nn.Module):
    """Tokens to vectors that know their place: values (B, T) int64 -> (B, T, size).

    Args:
        vocabulary: number of tokens.
        size: length of a vector.
        dropout: share of the vectors' entries dropped while training.
    """

    def __init__(self, vocabulary: int, size: int, dropout: float) -> None:
        super().__init__()
        self.table = nn.Embedding(vocabulary, size, padding_idx=PADDING)
        nn.init.normal_(self.table.weight, std=size**-0.5)  # scaled up below, to the size of the sinusoids
        self.dropout = nn.Dropout(dropout)
        self.scale = math.sqrt(size)

    def forward(self, x: Sequences) -> Sequences:
        vectors = self.table(x.values) * self.scale
        places = sinusoids(vectors.shape[1], vectors.shape[2], vectors.device)
        return Sequences(self.dropout(vectors + places.to(vectors.dtype)), x.lengths)


class EncoderLayer(nn.Module):
    """Self-attention and a feed-forward block, each after normalisation: values (B, T, size) -> (B, T, size).

    Args:
        size: length of a vector.
        heads: of the attention.
        inner: units of the feed-forward block.
        dropout: after each block while training.
    """

    def __init__(self, size: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.block = nn.TransformerEncoderLayer(
            size, heads, inner, dropout, activation="gelu", batch_first=True, norm_first=True
        )

    def forward(self, x: Sequences) -> Sequences:
        return Sequences(self.block(x.values, src_key_padding_mask=~x.mask()), x.lengths)


class Normalised(nn.Module):
    """Layer normalisation of each step: values (B, T, size) -> (B, T, size)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size)

    def forward(self, x: Sequences) -> Sequences:
        return Sequences(self.norm(x.values), x.lengths)


class TextTransformer(nn.Sequential):
    """Stages `embedding`, `layer1`, `layer2`, …, `norm`, `pooling`, `head`: tokens -> (B, num_classes).

    Args:
        vocabulary: number of tokens.
        num_classes: length of the output.
        size: length of a vector.
        heads: of the attention; they share the vector.
        layers: how many.
        inner: units of the feed-forward blocks.
        pooling: mean, max or attention.
        input_dropout: share of the first vectors' entries dropped.
        dropout: share dropped after each block.
        output_dropout: share dropped before the head.

    Raises:
        ValueError: when heads do not share the vector equally, or a value is out of its range.
    """

    def __init__(
        self,
        vocabulary: int,
        num_classes: int = 2,
        *,
        size: int,
        heads: int,
        layers: int,
        inner: int,
        pooling: str,
        input_dropout: float,
        dropout: float,
        output_dropout: float,
    ) -> None:
        if heads < 1 or size % heads:
            raise ValueError(f"model.heads={heads} must divide model.size={size}: try model.heads=4 model.size=128")
        if pooling not in ("mean", "max", "attention"):
            raise ValueError(f"model.pooling={pooling} is unknown: use mean, max or attention")
        if layers < 1:
            raise ValueError(f"model.layers={layers} must be 1 or more: try model.layers=2")
        stages: OrderedDict[str, nn.Module] = OrderedDict(
            embedding=PlacedEmbedding(vocabulary, size, input_dropout)  # (B, T, size)
        )
        for number in range(1, layers + 1):
            stages[f"layer{number}"] = EncoderLayer(size, heads, inner, dropout)  # (B, T, size)
        stages["norm"] = Normalised(size)  # (B, T, size)
        stages["pooling"] = Pooling(size, pooling, False, output_dropout)  # (B, size)
        stages["head"] = nn.Linear(size, num_classes)  # (B, num_classes)
        super().__init__(stages)
