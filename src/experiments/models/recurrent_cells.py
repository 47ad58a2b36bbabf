"""Recurrent cells written out gate by gate, for looking inside: numerically equal to torch's, and far slower.

The equations are those of torch's layers: Elman (1990), Hochreiter and Schmidhuber (1997) with forget gates, Cho et al.
(2014) with the reset gate after the product.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

Gates = dict[str, Tensor]  # name to (B, hidden)


def rnn_step(kernel: nn.RNNBase, x: Tensor, h: Tensor) -> Gates:
    """Return one step of Elman's network: h' = f(W x + b + U h + c)."""
    into, back = _products(kernel, x, h)
    total = into + back
    return {"hidden": total.relu() if kernel.mode == "RNN_RELU" else total.tanh()}


def lstm_step(kernel: nn.RNNBase, x: Tensor, h: Tensor, c: Tensor) -> Gates:
    """Return one step of an LSTM: c' = forget · c + input · candidate, h' = output · tanh(c')."""
    into, back = _products(kernel, x, h)
    i, f, g, o = (into + back).chunk(4, dim=1)
    gates = {"input": i.sigmoid(), "forget": f.sigmoid(), "candidate": g.tanh(), "output": o.sigmoid()}
    cell = gates["forget"] * c + gates["input"] * gates["candidate"]
    return gates | {"cell": cell, "hidden": gates["output"] * cell.tanh()}


def gru_step(kernel: nn.RNNBase, x: Tensor, h: Tensor) -> Gates:
    """Return one step of a GRU: h' = (1 - update) · candidate + update · h, the candidate seeing reset · (U h + c)."""
    into, back = _products(kernel, x, h)
    (r, z, n), (hr, hz, hn) = into.chunk(3, dim=1), back.chunk(3, dim=1)
    reset, update = (r + hr).sigmoid(), (z + hz).sigmoid()
    candidate = (n + reset * hn).tanh()
    return {
        "reset": reset,
        "update": update,
        "candidate": candidate,
        "hidden": (1 - update) * candidate + update * h,
    }


def unroll(kernel: nn.RNNBase, values: Tensor, h: Tensor | None = None, c: Tensor | None = None) -> Gates:
    """Return all steps of one layer of torch's, forward: values (B, T, inputs) -> every gate by name, (B, T, hidden)
    each.

    `hidden` is what the layer puts out, `cell` an LSTM's inner state.

    Args:
        kernel: a `nn.RNN`, `nn.LSTM` or `nn.GRU` of one layer and direction.
        values: as the layer reads them.
        h: (B, hidden), the state to begin with; None: zeros.
        c: likewise of an LSTM's inner state.
    """
    zeros = values.new_zeros(len(values), kernel.hidden_size)
    h, c = zeros if h is None else h, zeros if c is None else c
    steps: list[Gates] = []
    for x in values.unbind(1):
        if kernel.mode == "LSTM":
            gates = lstm_step(kernel, x, h, c)
            c = gates["cell"]
        else:
            gates = (gru_step if kernel.mode == "GRU" else rnn_step)(kernel, x, h)
        h = gates["hidden"]
        steps.append(gates)
    return {name: torch.stack([gates[name] for gates in steps], dim=1) for name in steps[0]}


def _products(kernel: Any, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """Return what comes from the input and from the state, all gates side by side: (B, gates * hidden) each."""
    into = nn.functional.linear(x, kernel.weight_ih_l0, kernel.bias_ih_l0)
    return into, nn.functional.linear(h, kernel.weight_hh_l0, kernel.bias_hh_l0)
