"""GPT: a decoder that sees only what came before, so that it can write.

Radford et al., "Language models are unsupervised multitask learners" (2019): GPT-2, with normalisation before each
block. With the same weights it gives the numbers of the `transformers` library; a test copies them. While it writes,
the keys and values of all tokens so far are kept, so that a step computes one token.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.batches import Decoding, KeyValues, Sequences
from experiments.models.attention import allowed, attend


class GPTEmbeddings(nn.Module):
    """A vector for each token and one for its place, added up: (B, T) int64 -> (B, T, size).

    Args:
        vocabulary: number of tokens.
        size: length of a vector.
        positions: places that have a vector: what the model can see at once.
        dropout: share of the entries dropped while training.
    """

    def __init__(self, vocabulary: int, size: int, positions: int, dropout: float) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocabulary, size), nn.Embedding(positions, size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Sequences) -> Sequences:
        places = torch.arange(x.values.shape[1], device=x.values.device)
        return Sequences(self.at(x.values, places), x.lengths)

    def at(self, tokens: Tensor, places: Tensor) -> Tensor:
        """Vectors of tokens at given places."""
        return self.dropout(self.tokens(tokens) + self.positions(places))


class CausalAttention(nn.Module):
    """Each token looks at itself and at those before it: (B, T, size) -> (B, T, size)."""

    def __init__(self, size: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.project, self.out = nn.Linear(size, 3 * size), nn.Linear(size, size)

    def forward(
        self, values: Tensor, past: KeyValues | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, KeyValues]:
        """Return what is found, and the keys and values; `past` comes before them, and the mask (B, 1, T, t + T) tells
        whom to see.
        """
        query, key, value = (self._split(part) for part in self.project(values).chunk(3, dim=2))
        past = KeyValues(key, value) if past is None else past.and_then(key, value)
        share = self.dropout if self.training else 0.0
        mixed = attend(query, past.key, past.value, mask, share, causal=mask is None)
        return self.out(mixed.transpose(1, 2).flatten(2)), past

    def _split(self, values: Tensor) -> Tensor:
        return values.unflatten(2, (self.heads, -1)).transpose(1, 2)  # (B, heads, T, size / heads)


class GPTLayer(nn.Module):
    """Attention, then two dense layers, each of what is normalised and added to what came in: (B, T, size), twice."""

    def __init__(self, size: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(size), CausalAttention(size, heads, dropout)
        self.norm2, self.dropout = nn.LayerNorm(size), nn.Dropout(dropout)
        self.dense1, self.dense2 = nn.Linear(size, inner), nn.Linear(inner, size)

    def forward(self, x: Sequences) -> Sequences:
        return Sequences(self.step(x.values)[0], x.lengths)

    def step(
        self, values: Tensor, past: KeyValues | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, KeyValues]:
        """Return the same with tokens that came before; gives keys and values too."""
        mixed, past = self.attention(self.norm1(values), past, mask)
        values = values + self.dropout(mixed)
        inner = F.gelu(self.dense1(self.norm2(values)), approximate="tanh")
        return values + self.dropout(self.dense2(inner)), past


class GPTPooler(nn.Module):
    """Normalises, and keeps every token, or the last of each text: (B, T, size) -> (B, T, size) or (B, size)."""

    def __init__(self, size: int, every_step: bool) -> None:
        super().__init__()
        self.norm, self.every_step = nn.LayerNorm(size), every_step

    def forward(self, x: Sequences) -> Tensor:
        values = self.norm(x.values)
        if self.every_step:
            return values
        return values[torch.arange(len(values), device=values.device), x.lengths - 1]


class GPT(nn.Sequential):
    """Stages `embeddings`, `layer1`, `layer2`, …, `pooler`, `head`: tokens -> (B, T, num_classes), or (B, num_classes).

    Where every step is asked for as many classes as there are tokens, the head's table is that of the embeddings.

    Args:
        vocabulary: number of tokens.
        num_classes: length of the output.
        every_step: one output a token in place of one a text, of its last token.
        size: length of a vector.
        heads: of the attention; they share the vector.
        layers: how many.
        inner: units of the first dense layer of each.
        positions: tokens that it can see at once.
        dropout: share dropped after each block, of the looks and of the first vectors.

    Attributes:
        causal: no token's output depends on later ones.

    Raises:
        ValueError: when heads do not share the vector equally, or a number is out of its range.
    """

    causal = True
    embeddings: GPTEmbeddings
    pooler: GPTPooler
    head: nn.Linear

    def __init__(
        self, vocabulary: int, num_classes: int = 2, *, every_step: bool = False,
        size: int, heads: int, layers: int, inner: int, positions: int, dropout: float,
    ) -> None:  # fmt: skip
        if heads < 1 or size % heads:
            raise ValueError(f"model.heads={heads} must divide model.size={size}: try model.heads=4 model.size=128")
        for key, number in (("layers", layers), ("inner", inner), ("positions", positions)):
            if number < 1:
                raise ValueError(f"model.{key}={number} must be 1 or more: try model.{key}=128")
        embeddings = GPTEmbeddings(vocabulary, size, positions, dropout)
        stages: OrderedDict[str, nn.Module] = OrderedDict(embeddings=embeddings)  # (B, T, size)
        for number in range(1, layers + 1):
            stages[f"layer{number}"] = GPTLayer(size, heads, inner, dropout)  # (B, T, size)
        stages["pooler"] = GPTPooler(size, every_step)  # (B, T, size) or (B, size)
        writes = every_step and num_classes == vocabulary
        stages["head"] = nn.Linear(size, num_classes, bias=not writes)  # (B, T, num_classes) or (B, num_classes)
        super().__init__(stages)
        self.positions = positions
        self._first_values(layers)
        if writes:
            self.head.weight = embeddings.tokens.weight

    def start(self, prompts: Sequences) -> tuple[Tensor, Decoding]:
        """Scores of the token after each prompt, (B, num_classes), and where to go on from there.

        The state that moves is the number of tokens so far (B,), which keys are of a token (B, t), and each layer's past.
        Prompts of unequal length are filled up behind; what fills up is seen by nobody.
        """
        values, lengths, mask = self.embeddings(prompts).values, prompts.lengths, prompts.mask()
        moving: list[Any] = [lengths, mask]
        for layer in self._layers:
            values, past = layer.step(values)
            moving.append(past)
        last = values[torch.arange(len(values), device=values.device), lengths - 1]
        return self.head(self.pooler.norm(last)), Decoding((), tuple(moving))

    def advance(self, tokens: Tensor, state: Decoding) -> tuple[Tensor, Decoding]:
        """Return one token (B,) later: the scores of the next, and where to go on."""
        lengths, mask, *pasts = state.moving
        values = self.embeddings.at(tokens, lengths)[:, None]  # (B, 1, size)
        mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)
        seen = allowed(mask[:, None, None], values.dtype)
        moving = [lengths + 1, mask]
        for layer, past in zip(self._layers, pasts, strict=True):
            values, after = layer.step(values, past, seen)
            moving.append(after)
        return self.head(self.pooler.norm(values[:, 0])), Decoding((), tuple(moving))

    @property
    def _layers(self) -> list[GPTLayer]:
        return [stage for stage in self if isinstance(stage, GPTLayer)]

    def _first_values(self, layers: int) -> None:
        """Small normal numbers, smaller where many layers add up, as published."""
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif parameter.ndim == 2:
                adds = name.endswith(("attention.out.weight", "dense2.weight"))
                nn.init.normal_(parameter, std=0.02 / (2 * layers) ** 0.5 if adds else 0.02)
