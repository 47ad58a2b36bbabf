"""Recurrent networks over tokens or vectors: Elman's RNN, LSTM and GRU behind one class.

Elman, "Finding structure in time" (1990); Hochreiter and Schmidhuber, "Long short-term memory" (1997), with the forget
gate of Gers et al. (2000); Cho et al., "Learning phrase representations using RNN encoder-decoder" (2014).

Every direction of every layer is one fused kernel over the padded batch; lengths are honoured by masks, since packing
leaves oneDNN's path on a CPU. The backward direction reads each sequence reversed within its own length, so that
padding is behind it too.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from experiments.batches import PADDING, Decoding, Sequences

CELLS: dict[str, Any] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
POOLINGS = ("last", "mean", "max", "attention")

State = tuple[Tensor, ...]  # (1, B, hidden) each: h, and c of an LSTM


class TokenEmbedding(nn.Module):
    """Tokens to vectors: values (B, T) int64 -> (B, T, size).

    Args:
        vocabulary: number of tokens.
        size: length of a vector.
        dropout: share of the vectors' entries dropped while training.
    """

    def __init__(self, vocabulary: int, size: int, dropout: float) -> None:
        super().__init__()
        self.table = nn.Embedding(vocabulary, size, padding_idx=PADDING)
        nn.init.normal_(self.table.weight, std=0.1)  # torch's 1 takes many epochs to outgrow
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Sequences) -> Sequences:
        return Sequences(self.dropout(self.table(x.values)), x.lengths)


class RecurrentLayer(nn.Module):
    """One layer, forward or in both directions: values (B, T, inputs) -> (B, T, outputs).

    While `carry` is true each call begins with the state in which the one before ended, without its graph, and the
    batch must go on where that one stopped; `forget` begins anew. A language model is trained and asked that way.

    Args:
        inputs: length of a vector that comes in.
        hidden: units a direction.
        cell: rnn, lstm or gru.
        nonlinearity: tanh or relu, of the rnn.
        bidirectional: read backwards too.
        initial: zero, or learned: where the state begins.
        layer_norm: normalise each step's output.
        dropout: share of the inputs dropped while training.
        truncate: steps after which back-propagation is cut while training; None: never.
        forget_bias: value at the start of the biases of an LSTM's forget gates and of a GRU's update gates, which both
            keep what is there; None leaves torch's.

    Attributes:
        outputs: length of a vector that comes out.
        recorded: a list, to have the forward direction run step by step and leave each step's output and state in it,
            in the graph; None, as is usual, runs all steps in one kernel.
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        *,
        cell: str,
        nonlinearity: str = "tanh",
        bidirectional: bool = False,
        initial: str = "zero",
        layer_norm: bool = False,
        dropout: float = 0.0,
        truncate: int | None = None,
        forget_bias: float | None = None,
    ) -> None:
        super().__init__()
        directions = 2 if bidirectional else 1
        extra = {"nonlinearity": nonlinearity} if cell == "rnn" else {}
        self.directions = nn.ModuleList(
            CELLS[cell](inputs, hidden, batch_first=True, **extra) for _ in range(directions)
        )
        states = 2 if cell == "lstm" else 1
        self.initial = nn.Parameter(torch.zeros(directions, states, hidden)) if initial == "learned" else None
        self.outputs = hidden * directions
        self.norm = nn.LayerNorm(self.outputs) if layer_norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.truncate = truncate
        self.carry = False
        self.state: State | None = None
        self.recorded: list[tuple[Tensor, State]] | None = None
        if forget_bias is not None and cell != "rnn":
            # torch adds two biases. Gates stand in the order input, forget, cell, output, and reset, update, new.
            with torch.no_grad():
                for name, parameter in self.named_parameters():
                    if name.endswith(("bias_ih_l0", "bias_hh_l0")):
                        parameter[hidden : 2 * hidden] = forget_bias if "_ih_" in name else 0.0

    def forget(self) -> None:
        """Let the next call begin with the initial state."""
        self.state = None

    def forward(self, x: Sequences) -> Sequences:
        values = self.dropout(x.values)
        out, end = self._run(0, values, self.state if self.carry else None)
        if self.carry:
            self.state = tuple(one.detach() for one in end)
        if len(self.directions) == 2:
            back, _ = self._run(1, Sequences(values, x.lengths).reversed().values, None)
            out = torch.cat([out, Sequences(back, x.lengths).reversed().values], dim=2)
        return Sequences(self.norm(out), x.lengths)

    def read(self, values: Tensor, lengths: Tensor | None, state: State | None) -> tuple[Tensor, State]:
        """Forwards, for a model that writes: (B, T, inputs) -> (B, T, outputs) and the state after each sequence's last step.

        Args:
            values: of the steps.
            lengths: (B,) of the sequences; None: all are full.
            state: to begin with, of (B, hidden) each; None: the initial one.
        """
        kernel = self.directions[0]
        if state is None and self.initial is not None:
            state = tuple(one.expand(len(values), -1) for one in self.initial[0])
        given = None if state is None else tuple(one[None].contiguous().to(values.dtype) for one in state)
        if lengths is None:
            out, end = _run_kernel(kernel, values, given)
        else:  # the only way in which a fused kernel tells the state within a padded batch
            packed = nn.utils.rnn.pack_padded_sequence(values, lengths.cpu(), batch_first=True, enforce_sorted=False)
            packed, end = kernel(packed, _given(given))
            out, _ = nn.utils.rnn.pad_packed_sequence(packed, batch_first=True, total_length=values.shape[1])
        return self.norm(out), tuple(one[0] for one in (end if isinstance(end, tuple) else (end,)))

    def _run(self, direction: int, values: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Return all steps of one direction; (B, T, inputs) -> (B, T, hidden) and the state after step T."""
        kernel = self.directions[direction]
        if state is None and self.initial is not None:
            state = tuple(
                one.expand(1, len(values), -1).contiguous().to(values.dtype) for one in self.initial[direction]
            )
        recorded = self.recorded if direction == 0 else None
        cut = self.truncate if self.training and recorded is None else None
        step = 1 if recorded is not None else cut or values.shape[1]
        pieces: list[Tensor] = []
        for chunk in values.split(max(1, step), dim=1):
            if pieces and cut:
                assert state is not None
                state = tuple(one.detach() for one in state)
            out, end = _run_kernel(kernel, chunk, state)
            state = end if isinstance(end, tuple) else (end,)
            pieces.append(out)
            if recorded is not None:
                recorded.append((out, state))
        assert state is not None
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=1), state


def _run_kernel(kernel: nn.Module, values: Tensor, state: State | None) -> Any:
    """Return one call of a fused kernel; in 32 bits under bf16 autocast on a processor that has no arithmetic for bf16.

    There oneDNN has no such kernel for an LSTM and says so by an error, and torch's own is several times slower.
    """
    if values.device.type == "cpu" and torch.is_autocast_enabled("cpu") and not _has_bf16():
        with torch.autocast("cpu", enabled=False):
            wide = None if state is None else tuple(one.float() for one in state)
            return kernel(values.float(), _given(wide))
    return kernel(values, _given(state))


@cache
def _has_bf16() -> bool:
    """Tell whether this processor computes in bf16."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _given(state: State | None) -> Any:
    """Return a state in the form that torch's layers take."""
    return state if state is None or len(state) == 2 else state[0]


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
        self.kind, self.bidirectional = kind, bidirectional
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
        if self.kind == "last":
            end = values[torch.arange(len(values), device=values.device), lengths - 1]
            if not self.bidirectional:
                return end
            half = values.shape[2] // 2
            return torch.cat([end[:, :half], values[:, 0, half:]], dim=1)
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
        for key, value, known in (
            ("cell", cell, tuple(CELLS)),
            ("pooling", pooling, POOLINGS),
            ("nonlinearity", nonlinearity, ("tanh", "relu")),
            ("initial", initial, ("zero", "learned")),
        ):
            if value not in known:
                raise ValueError(f"model.{key}={value} is unknown: use {' or '.join(known)}")
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
