"""Recurrent networks over tokens or vectors: Elman's RNN, LSTM and GRU behind one class.

Elman, "Finding structure in time" (1990); Hochreiter and Schmidhuber, "Long short-term memory" (1997), with the forget
gate of Gers et al. (2000); Cho et al., "Learning phrase representations using RNN encoder-decoder" (2014).
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from experiments.batches import Decoding, Sequences
from experiments.models.recurrent_layer import CELLS, RecurrentLayer, TokenEmbedding

POOLINGS = ("last", "mean", "max", "attention")


class LastStep(nn.Module):
    """Take what each direction ends with: values (B, T, D) and lengths (B,) -> (B, D).

    Args:
        bidirectional: the second half of D was read backwards, and ends at the first step.
    """

    def __init__(self, bidirectional: bool) -> None:
        super().__init__()
        self.bidirectional = bidirectional

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        end = values[torch.arange(len(values), device=values.device), lengths - 1]
        if not self.bidirectional:
            return end
        half = values.shape[2] // 2
        return torch.cat([end[:, :half], values[:, 0, half:]], dim=1)


class Pooling(nn.Module):
    """One vector for each sequence: values (B, T, D) -> (B, D), of what is no padding.

    `last` takes what each direction ends with; `attention` weighs steps by a learned query (Yang et al., "Hierarchical
    attention networks", 2016).

    Args:
        features: D, both directions together.
        kind: last, mean, max or attention.
        bidirectional: the second half of D was read backwards, and ends at the first step.
        dropout: share of the result dropped while training.
    """

    def __init__(self, features: int, kind: str, bidirectional: bool, dropout: float) -> None:
        super().__init__()
        self.kind = kind
        self.last = LastStep(bidirectional) if kind == "last" else None
        self.query = (
            nn.Sequential(nn.Linear(features, features), nn.Tanh(), nn.Linear(features, 1, bias=False))
            if kind == "attention"
            else None
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Sequences) -> Tensor:
        return self.dropout(self._pool(x))

    def _pool(self, x: Sequences) -> Tensor:
        values, lengths = x
        if self.last is not None:
            return self.last(values, lengths)
        mask = x.mask()[..., None]
        if self.kind == "max":
            return values.masked_fill(~mask, -torch.inf).amax(dim=1)
        if self.query is not None:
            weights = self.weights(x)[..., None]
        else:
            weights = mask.to(values.dtype) / lengths[:, None, None]
        return (values.masked_fill(~mask, 0.0) * weights).sum(dim=1)

    def weights(self, x: Sequences) -> Tensor:
        """(B, T) weights of the steps, for pooling by attention."""
        assert self.query is not None
        return self.query(x.values)[..., 0].masked_fill(~x.mask(), -torch.inf).softmax(dim=1)


class EveryStep(nn.Module):
    """Keeps all steps: values (B, T, D) -> (B, T, D)."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Sequences) -> Tensor:
        return self.dropout(x.values)


class Recurrent(nn.Sequential):
    """Stages `embedding` (of tokens), `layer1`, `layer2`, …, `pooling`, `head`.

    Reads `Sequences` of tokens or vectors. Gives (B, num_classes); for `every_step` (B, T, num_classes); for a forecast
    (B, horizon, num_classes).

    Args:
        vocabulary: number of tokens; None where vectors come in.
        features: length of the vectors; None where tokens come in.
        num_classes: length of the output.
        every_step: one output a step in place of one a sequence.
        history: steps of a series' past; any number of them can be read.
        horizon: steps ahead that come out at once, or None.
        cell: rnn, lstm or gru.
        embedding: length of a token's vector.
        hidden: units a layer and direction.
        layers: how many.
        nonlinearity: tanh or relu, of the rnn.
        bidirectional: read backwards too.
        pooling: last, mean, max or attention; for one output a sequence.
        initial: zero or learned.
        layer_norm: normalise each layer's output.
        input_dropout: share of the vectors' entries dropped before the first layer.
        dropout: likewise between layers.
        output_dropout: likewise before the head.
        truncate: steps after which back-propagation is cut; None: never.
        forget_bias: of an LSTM or GRU at the start; None leaves torch's.

    Attributes:
        causal: no step's output depends on later steps.

    Raises:
        ValueError: when a value is out of its range.
    """

    embedding: nn.Module
    head: nn.Module

    def __init__(
        self,
        vocabulary: int | None = None,
        features: int | None = None,
        num_classes: int = 2,
        *,
        every_step: bool = False,
        history: int | None = None,
        horizon: int | None = None,
        cell: str,
        embedding: int,
        hidden: int,
        layers: int,
        nonlinearity: str,
        bidirectional: bool,
        pooling: str,
        initial: str,
        layer_norm: bool,
        input_dropout: float,
        dropout: float,
        output_dropout: float,
        truncate: int | None,
        forget_bias: float | None,
    ) -> None:
        for key, value, allowed in (
            ("cell", cell, tuple(CELLS)),
            ("pooling", pooling, POOLINGS),
            ("nonlinearity", nonlinearity, ("tanh", "relu")),
            ("initial", initial, ("zero", "learned")),
        ):
            if value not in allowed:
                raise ValueError(f"model.{key}={value} is unknown: use {' or '.join(allowed)}")
        for key, number in (("embedding", embedding), ("hidden", hidden), ("layers", layers), ("truncate", truncate)):
            if number is not None and number < 1:
                raise ValueError(f"model.{key}={number} must be 1 or more: try model.{key}=1")
        for key, share in (("input_dropout", input_dropout), ("dropout", dropout), ("output_dropout", output_dropout)):
            if not 0 <= share < 1:
                raise ValueError(f"model.{key}={share} must lie in [0, 1): try model.{key}=0.3")
        stages: OrderedDict[str, nn.Module] = OrderedDict()
        if vocabulary is not None:
            stages["embedding"] = TokenEmbedding(vocabulary, embedding, input_dropout)  # (B, T, embedding)
            size, drop = embedding, 0.0
        elif features is not None:
            size, drop = features, input_dropout
        else:
            raise ValueError("a recurrent network reads tokens or vectors: its data must give vocabulary or features")
        for number in range(1, layers + 1):
            layer = RecurrentLayer(
                size,
                hidden,
                cell=cell,
                nonlinearity=nonlinearity,
                bidirectional=bidirectional,
                initial=initial,
                layer_norm=layer_norm,
                dropout=drop,
                truncate=truncate,
                forget_bias=forget_bias,
            )
            stages[f"layer{number}"] = layer  # (B, T, hidden), twice that in both directions
            size, drop = layer.outputs, dropout
        if every_step:
            stages["pooling"] = EveryStep(output_dropout)  # (B, T, size)
        else:
            stages["pooling"] = Pooling(size, pooling, bidirectional, output_dropout)  # (B, size)
        head: nn.Module = nn.Linear(size, num_classes if horizon is None else horizon * num_classes)
        if horizon is not None:
            head = nn.Sequential(head, nn.Unflatten(1, (horizon, num_classes)))
        stages["head"] = head  # (B, num_classes), (B, T, num_classes) or (B, horizon, num_classes)
        super().__init__(stages)
        self.causal = not bidirectional

    @property
    def layers(self) -> list[RecurrentLayer]:
        """The recurrent stages, in order."""
        return [stage for stage in self if isinstance(stage, RecurrentLayer)]

    def carry(self, yes: bool) -> None:
        """Let each call go on with the state of the one before, or stop doing so; what was carried is forgotten."""
        for layer in self.layers:
            layer.carry = yes
            layer.forget()

    def start(self, prompts: Sequences) -> tuple[Tensor, Decoding]:
        """Scores of the token after each prompt, (B, num_classes), and each layer's states, where to go on from there."""
        values = self.embedding(prompts).values
        moving: tuple[Tensor, ...] = ()
        for layer in self.layers:
            values, state = layer.read(values, prompts.lengths, None)
            moving += state
        last = values[torch.arange(len(values), device=values.device), prompts.lengths - 1]
        return self.head(last), Decoding((), moving)

    def advance(self, tokens: Tensor, state: Decoding) -> tuple[Tensor, Decoding]:
        """Return one token (B,) later: the scores of the next, and where to go on."""
        values = self.embedding(Sequences(tokens[:, None], torch.ones_like(tokens))).values
        moving: tuple[Tensor, ...] = ()
        each = len(state.moving) // len(self.layers)
        for number, layer in enumerate(self.layers):
            values, after = layer.read(values, None, state.moving[each * number : each * (number + 1)])
            moving += after
        return self.head(values[:, 0]), Decoding((), moving)
