"""One layer of a recurrent network, forward or in both directions, and the vectors of tokens below it.

Every direction is one fused kernel over the padded batch; lengths are honoured by masks, since packing leaves oneDNN's path
on a CPU. The backward direction reads each sequence reversed within its own length, so that padding is behind it too.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from experiments.batches import PADDING, Sequences

CELLS: dict[str, Any] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
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
            self.state = tuple(tensor.detach() for tensor in end)
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
            state = tuple(tensor.expand(len(values), -1) for tensor in self.initial[0])
        given = None if state is None else tuple(tensor[None].contiguous().to(values.dtype) for tensor in state)
        if lengths is None:
            out, end = _run_kernel(kernel, values, given)
        else:  # the only way in which a fused kernel tells the state within a padded batch
            packed = nn.utils.rnn.pack_padded_sequence(values, lengths.cpu(), batch_first=True, enforce_sorted=False)
            packed, end = kernel(packed, _given(given))
            out, _ = nn.utils.rnn.pad_packed_sequence(packed, batch_first=True, total_length=values.shape[1])
        return self.norm(out), tuple(tensor[0] for tensor in (end if isinstance(end, tuple) else (end,)))

    def _run(self, direction: int, values: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Return all steps of one direction; (B, T, inputs) -> (B, T, hidden) and the state after step T."""
        kernel = self.directions[direction]
        if state is None and self.initial is not None:
            state = tuple(
                tensor.expand(1, len(values), -1).contiguous().to(values.dtype) for tensor in self.initial[direction]
            )
        recorded = self.recorded if direction == 0 else None
        cut = self.truncate if self.training and recorded is None else None
        step = 1 if recorded is not None else cut or values.shape[1]
        pieces: list[Tensor] = []
        for chunk in values.split(max(1, step), dim=1):
            if pieces and cut:
                assert state is not None
                state = tuple(tensor.detach() for tensor in state)
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
            wide = None if state is None else tuple(tensor.float() for tensor in state)
            return kernel(values.float(), _given(wide))
    return kernel(values, _given(state))


@cache
def _has_bf16() -> bool:
    """Tell whether this processor computes in bf16."""
    # torch.backends.cpu names AVX-512 alone; whether oneDNN computes in bf16 nothing public says.
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _given(state: State | None) -> Any:
    """Return a state in the form that torch's layers take."""
    return state if state is None or len(state) == 2 else state[0]
