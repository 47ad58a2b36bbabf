"""BERT: an encoder that reads a text in both directions at once.

Devlin et al., "BERT: pre-training of deep bidirectional transformers for language understanding" (2019). With the same
weights it gives the numbers of the `transformers` library; a test copies them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.batches import END, PADDING, START, UNKNOWN, Joined, Sequences
from experiments.models.attention import attend

EPSILON = 1e-12  # of the layer norms, as published


class BERTEmbeddings(nn.Module):
    """A vector for each token, for its place and for its segment, added up: (B, T) int64 -> (B, T, size).

    Args:
        vocabulary: number of tokens.
        size: length of a vector.
        positions: places that have a vector, so the longest text.
        dropout: share of the entries dropped while training.
        padding: the token that fills up.
        separator: the token after which the second text of a pair begins.
    """

    def __init__(
        self, vocabulary: int, size: int, positions: int, dropout: float, padding: int, separator: int
    ) -> None:
        super().__init__()
        self.separator = separator
        self.tokens = nn.Embedding(vocabulary, size, padding_idx=padding)
        self.positions = nn.Embedding(positions, size)
        self.segments = nn.Embedding(2, size)
        self.norm, self.dropout = nn.LayerNorm(size, EPSILON), nn.Dropout(dropout)

    def forward(self, x: Sequences | Joined) -> Sequences:
        ends = x.values == self.separator
        second = (ends.cumsum(1) > ends.long()) & x.mask()  # behind the first separator
        segments = x.segments if isinstance(x, Joined) else second.long()
        places = torch.arange(x.values.shape[1], device=x.values.device)  # (T,)
        vectors = self.tokens(x.values) + self.positions(places) + self.segments(segments)  # (B, T, size)
        return Sequences(self.dropout(self.norm(vectors)), x.lengths)


class SelfAttention(nn.Module):
    """Each token looks at all others: (B, T, size) -> (B, T, size).

    Args:
        size: length of a vector.
        heads: they share the vector, and each looks in its own way.
        dropout: share of the looks dropped while training.
    """

    def __init__(self, size: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query, self.key, self.value = nn.Linear(size, size), nn.Linear(size, size), nn.Linear(size, size)
        self.out = nn.Linear(size, size)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """Mix the values by attention; the mask (B, 1, 1, T) is true where there is a token."""
        query, key, value = (self._split(layer(values)) for layer in (self.query, self.key, self.value))
        share = self.dropout if self.training else 0.0
        mixed = attend(query, key, value, mask, share)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def _split(self, values: Tensor) -> Tensor:
        return values.unflatten(2, (self.heads, -1)).transpose(1, 2)  # (B, heads, T, size / heads)


class BERTLayer(nn.Module):
    """Attention, then two dense layers, each added to what came in and normalised: (B, T, size) -> (B, T, size)."""

    def __init__(self, size: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.attention, self.norm1 = SelfAttention(size, heads, dropout), nn.LayerNorm(size, EPSILON)
        self.dense1, self.dense2 = nn.Linear(size, inner), nn.Linear(inner, size)
        self.norm2, self.dropout = nn.LayerNorm(size, EPSILON), nn.Dropout(dropout)

    def forward(self, x: Sequences) -> Sequences:
        values = self.norm1(x.values + self.dropout(self.attention(x.values, x.mask()[:, None, None])))
        values = self.norm2(values + self.dropout(self.dense2(F.gelu(self.dense1(values)))))
        return Sequences(values, x.lengths)


class FirstToken(nn.Module):
    """What stands for the whole text: (B, T, size) -> (B, size)."""

    def __init__(self, size: int, dropout: float) -> None:
        super().__init__()
        self.dense, self.dropout = nn.Linear(size, size), nn.Dropout(dropout)

    def forward(self, x: Sequences) -> Tensor:
        return self.dropout(torch.tanh(self.dense(x.values[:, 0])))


class BERTEveryToken(nn.Module):
    """Keeps all tokens: (B, T, size) -> (B, T, size)."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Sequences) -> Tensor:
        return self.dropout(x.values)


class MaskedHead(nn.Module):
    """Scores of the tokens that may stand at a place: (…, size) -> (…, vocabulary); the table is that of the embeddings."""

    def __init__(self, table: nn.Embedding) -> None:
        super().__init__()
        vocabulary, size = table.weight.shape
        self.dense, self.norm = nn.Linear(size, size), nn.LayerNorm(size, EPSILON)
        self.out = nn.Linear(size, vocabulary)
        self.out.weight = table.weight

    def forward(self, values: Tensor) -> Tensor:
        return self.out(self.norm(F.gelu(self.dense(values))))


class Bert(nn.Sequential):
    """Stages `embeddings`, `layer1`, `layer2`, …, `pooler`, `head`: tokens -> (B, num_classes), or (B, T, num_classes).

    For `masked` tokens -> (B, T, vocabulary), by the head of masked language modelling; for `num_classes=0` the head passes
    on the vectors of texts, (B, size).

    Args:
        vocabulary: number of tokens.
        num_classes: length of the output; 0 for none.
        every_step: one output a token in place of one a text.
        masked: scores of tokens, for masked language modelling.
        marks: the tokens for padding, what is unknown, start and end.
        size: length of a vector.
        heads: of the attention; they share the vector.
        layers: how many.
        inner: units of the first dense layer of each.
        positions: tokens of the longest text.
        dropout: share dropped after each block and of the looks.

    Attributes:
        makes_words: whether the head tells tokens, so that it comes with weights.

    Raises:
        ValueError: when heads do not share the vector equally, or a number is out of its range.
    """

    embeddings: BERTEmbeddings

    def __init__(
        self, vocabulary: int, num_classes: int = 2, *, every_step: bool = False, masked: bool = False,
        marks: Sequence[int] = (PADDING, UNKNOWN, START, END),
        size: int, heads: int, layers: int, inner: int, positions: int, dropout: float,
    ) -> None:  # fmt: skip
        if heads < 1 or size % heads:
            raise ValueError(f"model.heads={heads} must divide model.size={size}: try model.heads=4 model.size=128")
        for key, number in (("layers", layers), ("inner", inner), ("positions", positions)):
            if number < 1:
                raise ValueError(f"model.{key}={number} must be 1 or more: try model.{key}=128")
        embeddings = BERTEmbeddings(vocabulary, size, positions, dropout, marks[0], marks[3])
        stages: OrderedDict[str, nn.Module] = OrderedDict(embeddings=embeddings)  # (B, T, size)
        for number in range(1, layers + 1):
            stages[f"layer{number}"] = BERTLayer(size, heads, inner, dropout)  # (B, T, size)
        if masked or every_step:
            stages["pooler"] = BERTEveryToken(0.0 if masked else dropout)  # (B, T, size)
        else:
            stages["pooler"] = FirstToken(size, dropout)  # (B, size)
        head: nn.Module = nn.Linear(size, num_classes) if num_classes else nn.Identity()
        stages["head"] = MaskedHead(embeddings.tokens) if masked else head
        super().__init__(stages)
        self.positions, self.makes_words, self.base_model_prefix = positions, masked, "bert"
        self.apply(_first_values)

    @property
    def published_names(self) -> dict[str, str]:
        """The name here of each tensor of a BERT in the layout of `transformers`."""
        names = {
            "embeddings.word_embeddings": "embeddings.tokens", "embeddings.position_embeddings": "embeddings.positions",
            "embeddings.token_type_embeddings": "embeddings.segments", "embeddings.LayerNorm": "embeddings.norm",
        }  # fmt: skip
        layers = sum(isinstance(stage, BERTLayer) for stage in self)
        for here, there in ((f"layer{n + 1}", f"encoder.layer.{n}") for n in range(layers)):
            for word in ("query", "key", "value"):
                names[f"{there}.attention.self.{word}"] = f"{here}.attention.{word}"
            names |= {
                f"{there}.attention.output.dense": f"{here}.attention.out", f"{there}.attention.output.LayerNorm": f"{here}.norm1",
                f"{there}.intermediate.dense": f"{here}.dense1", f"{there}.output.dense": f"{here}.dense2",
                f"{there}.output.LayerNorm": f"{here}.norm2",
            }  # fmt: skip
        whole = {f"bert.{there}": here for there, here in names.items()} | {"bert.pooler.dense": "pooler.dense"}
        whole |= {"classifier": "head", "qa_outputs": "head", "cls.predictions.transform.dense": "head.dense",
                  "cls.predictions.transform.LayerNorm": "head.norm", "cls.predictions.decoder": "head.out"}  # fmt: skip
        ends = (("weight", "weight"), ("bias", "bias"), ("gamma", "weight"), ("beta", "bias"))  # the last two are older
        translated = {f"{there}.{a}": f"{here}.{b}" for there, here in whole.items() for a, b in ends}
        return translated | {"cls.predictions.bias": "head.out.bias"}


def _first_values(module: nn.Module) -> None:
    """Small normal numbers, as published; padding is zero."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
    if isinstance(module, nn.Embedding) and module.padding_idx is not None:
        nn.init.zeros_(module.weight[module.padding_idx].data)
