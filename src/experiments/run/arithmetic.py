"""The arithmetic of a forward pass: the products of matrices and the convolutions it computes."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from torch import Tensor, nn

from experiments.run.operation_counts import WatchedOperations


class Arithmetic(WatchedOperations):
    """Adds up what the operators below the modules cost, so functional code is counted as well as layers.

    Fused recurrent layers hide their matrix products on some devices and not on others; they are counted by
    formula, and what runs inside them is not looked at. (torch's own counter says 0 for the fused ones, and
    costs 0.1 s to import.)
    """

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0
        self._inside = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if not self._inside:
            cost = _COSTS.get(func.overloadpacket.__name__)
            self.flops += 2 * cost(args, out) if cost else 0
        return out

    def enter(self, module: nn.Module, args: Any) -> None:
        self._inside += 1

    def leave(self, module: nn.Module, args: Any, output: Any) -> None:
        assert isinstance(module, nn.RNNBase)
        self._inside -= 1
        first = args[0]
        values = first.data if isinstance(first, nn.utils.rnn.PackedSequence) else first
        self.flops += 2 * _recurrent(module, positions=values.numel() // module.input_size)


def _recurrent(m: nn.RNNBase, positions: int) -> int:
    """Multiply-adds of a recurrent layer over so many time steps (summed over the batch)."""
    gates = {"LSTM": 4, "GRU": 3}.get(m.mode, 1)
    directions = 2 if m.bidirectional else 1
    out = m.proj_size or m.hidden_size
    total = 0
    for layer in range(m.num_layers):
        reads = m.input_size if layer == 0 else out * directions
        total += directions * (gates * m.hidden_size * (reads + out) + m.hidden_size * m.proj_size)
    return positions * total


def _product(a: Tensor, b: Tensor) -> int:
    """(..., n, k) @ (..., k, m): multiply-adds."""
    return a.numel() * b.shape[-1]


def _convolution(args: Any, out: Tensor) -> int:
    inputs, weight, transposed = args[0], args[1], args[6]
    return (inputs if transposed else out).numel() * weight[0].numel()


def _attention(args: Any, out: Any) -> int:
    q, k, v = args[:3]  # (B, heads, length, features)
    return prod(q.shape[:-1]) * k.shape[-2] * (q.shape[-1] + v.shape[-1])


_COSTS: dict[str, Callable[[Any, Any], int]] = {
    "mm": lambda args, out: _product(args[0], args[1]),
    "bmm": lambda args, out: _product(args[0], args[1]),
    "addmm": lambda args, out: _product(args[1], args[2]),
    "baddbmm": lambda args, out: _product(args[1], args[2]),
    "mv": lambda args, out: args[0].numel(),
    "convolution": _convolution,
    "_scaled_dot_product_flash_attention": _attention,
    "_scaled_dot_product_flash_attention_for_cpu": _attention,
    "_scaled_dot_product_efficient_attention": _attention,
    "_scaled_dot_product_cudnn_attention": _attention,
}
