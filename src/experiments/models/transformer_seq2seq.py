"""Transformer encoder-decoder.

Vaswani et al., "Attention is all you need" (2017), with normalisation before each block (Xiong et al., "On layer
normalization in the transformer architecture", 2020). Layers and kernels are torch's own. For decoding, keys and values
of the words so far and of the source are kept, so that a step computes one word.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.batches import PADDING, Decoding, Pairs, Sequences
from experiments.models.text_transformer import EncoderLayer, Normalised, PlacedEmbedding, sinusoids
from experiments.models.translator import OnSource, Translator, TranslatorDecoder, check_sharing, from_mask, shared_head


class TransformerDecoder(TranslatorDecoder):
    """Target words -> vectors (B, T, size), given the encoded source.

    Its state for decoding: fixed are the source's mask and each layer's keys and values of it, (N, heads, S, size/heads);
    moving each layer's keys and values of the words so far, (N, heads, t, size/heads).

    Args:
        table: of the target's tokens.
        heads: of the attention.
        layers: how many.
        inner: units of the feed-forward blocks.
        dropout: after each block, and of the first vectors, while training.
    """

    def __init__(self, table: nn.Embedding, *, heads: int, layers: int, inner: int, dropout: float) -> None:
        super().__init__()
        size = table.embedding_dim
        self.table, self.heads, self.scale = table, heads, math.sqrt(size)
        self.layers = nn.ModuleList(
            nn.TransformerDecoderLayer(
                size, heads, inner, dropout, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Pairs) -> Tensor:
        values, later, hidden = self._enter(x)
        for layer in self.layers:
            values = layer(values, x.source.values, later, None, None, hidden, tgt_is_causal=True)
        return self.norm(values)

    def weights(self, pairs: Pairs) -> Tensor:
        """Of the last layer, the mean over its heads."""
        values, later, hidden = self._enter(pairs)
        memory = pairs.source.values
        for layer in list(self.layers)[:-1]:
            values = layer(values, memory, later, None, None, hidden, tgt_is_causal=True)
        last = cast(nn.TransformerDecoderLayer, self.layers[-1])
        within = last.norm1(values)
        values = values + last.self_attn(within, within, within, attn_mask=later, need_weights=False)[0]
        return last.multihead_attn(last.norm2(values), memory, memory, key_padding_mask=hidden)[1]

    def begin(self, source: Sequences) -> Decoding:
        mask = from_mask(source.lengths, source.values.shape[1])
        fixed, moving = [mask[:, None, None]], []
        for layer in self.layers:
            attention = cast(nn.TransformerDecoderLayer, layer).multihead_attn
            size = attention.embed_dim
            both = F.linear(source.values, attention.in_proj_weight[size:], attention.in_proj_bias[size:])
            fixed += [self._heads(tensor) for tensor in both.chunk(2, dim=2)]
            moving += [both.new_zeros(len(both), self.heads, 0, size // self.heads)] * 2
        return Decoding(tuple(fixed), tuple(moving))

    def advance(self, words: Tensor, state: Decoding) -> tuple[Tensor, Decoding]:
        steps = state.moving[0].shape[2]
        place = sinusoids(steps + 1, self.table.embedding_dim, words.device)[steps:]
        x = (self.table(words) * self.scale)[:, None]  # (N, 1, size)
        x = x + place.to(x.dtype)
        moving: list[Tensor] = []
        for number, stage in enumerate(self.layers):
            layer = cast(nn.TransformerDecoderLayer, stage)
            attention = layer.self_attn
            projected = F.linear(layer.norm1(x), attention.in_proj_weight, attention.in_proj_bias)
            query, key, value = (self._heads(part) for part in projected.chunk(3, dim=2))
            key = torch.cat([state.moving[2 * number], key], dim=2)
            value = torch.cat([state.moving[2 * number + 1], value], dim=2)
            moving += [key, value]
            x = x + attention.out_proj(self._joined(F.scaled_dot_product_attention(query, key, value)))
            attention, size = layer.multihead_attn, layer.multihead_attn.embed_dim
            query = F.linear(layer.norm2(x), attention.in_proj_weight[:size], attention.in_proj_bias[:size])
            mask, keys, values = state.fixed[0], *state.fixed[1 + 2 * number : 3 + 2 * number]
            mixed = F.scaled_dot_product_attention(self._heads(query), keys, values, attn_mask=mask)
            x = x + attention.out_proj(self._joined(mixed))
            x = x + layer.linear2(F.gelu(layer.linear1(layer.norm3(x))))
        return self.norm(x)[:, 0], Decoding(state.fixed, tuple(moving))

    def _enter(self, x: Pairs) -> tuple[Tensor, Tensor, Tensor]:
        """First vectors (B, T, size), which steps are later (T, T), and where the source is padding (B, S)."""
        values = self.table(x.target.values) * self.scale
        steps = values.shape[1]
        values = self.dropout(values + sinusoids(steps, values.shape[2], values.device).to(values.dtype))
        later = torch.ones(steps, steps, dtype=torch.bool, device=values.device).triu(1)
        return values, later, ~x.source.mask()

    def _heads(self, x: Tensor) -> Tensor:
        """Map (N, t, size) -> (N, heads, t, size/heads)."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)

    def _joined(self, x: Tensor) -> Tensor:
        """Map (N, heads, t, size/heads) -> (N, t, size)."""
        return x.transpose(1, 2).flatten(2)


class TransformerSeq2Seq(Translator):
    """Stages `embedding`, `encoder1`, …, `norm`, `decoder`, `head`: `Pairs` -> (B, T, target_vocabulary).

    Args:
        vocabulary: number of source tokens.
        target_vocabulary: number of target tokens.
        one_vocabulary: whether both languages have the same.
        size: length of a token's vector, here and between layers.
        heads: of the attention; they share the vector.
        layers: of the encoder and of the decoder.
        inner: units of the feed-forward blocks.
        share: target: the head has the weights of the target's table; all: and the source has that table too.
        dropout: share dropped of the first vectors and after each block.

    Raises:
        ValueError: when heads do not share the vector equally, or a value is out of its range.
    """

    def __init__(
        self,
        vocabulary: int,
        target_vocabulary: int,
        one_vocabulary: bool = False,
        *,
        size: int,
        heads: int,
        layers: int,
        inner: int,
        share: str,
        dropout: float,
    ) -> None:
        if heads < 1 or size % heads:
            raise ValueError(f"model.heads={heads} must divide model.size={size}: try model.heads=4 model.size=128")
        for key, number in (("layers", layers), ("inner", inner)):
            if number < 1:
                raise ValueError(f"model.{key}={number} must be 1 or more: try model.{key}=2")
        if not 0 <= dropout < 1:
            raise ValueError(f"model.dropout={dropout} must lie in [0, 1): try model.dropout=0.1")
        check_sharing(share, one_vocabulary)
        source = PlacedEmbedding(vocabulary, size, dropout)
        table = source.table
        if share != "all":
            table = nn.Embedding(target_vocabulary, size, padding_idx=PADDING)
            nn.init.normal_(table.weight, std=size**-0.5)  # scaled up where it is read
        stages: OrderedDict[str, nn.Module] = OrderedDict(embedding=OnSource(source))  # source: (B, S, size)
        for number in range(1, layers + 1):
            stages[f"encoder{number}"] = OnSource(EncoderLayer(size, heads, inner, dropout))  # source: (B, S, size)
        stages["norm"] = OnSource(Normalised(size))  # source: (B, S, size)
        stages["decoder"] = TransformerDecoder(table, heads=heads, layers=layers, inner=inner, dropout=dropout)
        stages["head"] = shared_head(size, target_vocabulary, None if share == "none" else table)
        super().__init__(stages)  # (B, T, target_vocabulary)
