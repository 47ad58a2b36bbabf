"""Which parameters a tensor is made of, while a network runs: each is counted once, wherever it is used first.

Layers are not the only ones that hold parameters: attention projects by slices of one matrix, and positions are added to what
comes in.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

_CUTS = ("slice", "select", "narrow", "split", "split_with_sizes", "chunk", "unbind")
_PRODUCTS = ("mm", "addmm", "bmm", "baddbmm", "mv", "addmv")
_IN_PROJECTION = ("query", "key", "value")

Span = tuple[str, int, int]  # name of a parameter, its first value that is used, and how many are


class WeightLedger:
    """Follows parameters through slices and transpositions, and counts them.

    Args:
        model: whose parameters they are.
    """

    def __init__(self, model: nn.Module) -> None:
        self._modules = dict(model.named_modules())
        self._parameters = dict(model.named_parameters())
        self._spans = {
            id(parameter): frozenset({(name, 0, parameter.numel())}) for name, parameter in self._parameters.items()
        }
        self._counted: dict[str, set[tuple[int, int]]] = {}

    def of(self, tensors: Iterable[Tensor]) -> frozenset[Span]:
        """Return what of the parameters these tensors are made of."""
        return frozenset().union(*(self._spans.get(id(tensor), frozenset()) for tensor in tensors))

    def follow(self, function: str, spans: frozenset[Span], out: Tensor) -> None:
        """Notes that a tensor is made of these alone."""
        if function in _CUTS and len(spans) == 1:
            ((name, _, _),) = spans
            spans = frozenset({(name, int(out.storage_offset()), out.numel())})
        self._spans[id(out)] = spans

    def take(self, spans: Iterable[Span]) -> tuple[int, int]:
        """Count what no one has counted so far: how many values, and how many of them learn."""
        total = learning = 0
        for name, start, size in spans:
            seen, whole = self._counted.setdefault(name, set()), self._parameters[name].numel()
            new = 0 if (start, size) in seen else max(0, min(size, whole - sum(length for _, length in seen)))
            seen.add((start, new))
            total += new
            learning += new if self._parameters[name].requires_grad else 0
        return total, learning

    def whole(self, module: nn.Module) -> frozenset[Span]:
        """Return all parameters of a module."""
        return self.of(module.parameters())

    def missed(self) -> list[str]:
        """Names of the parameters of which nothing was counted."""
        return [name for name in self._parameters if name not in self._counted]

    def layer(self, function: str, spans: frozenset[Span], sign: str, out: Any) -> tuple[str, str, nn.Module | None]:
        """Return name, kind and module of the layer that an operation with such parameters is: `dense`, `convolution`, or an
        operator with the parameter's name.
        """
        name, start, size = min(spans, key=lambda span: (_is_bias(span[0]), span[0]))
        holder, _, part = name.rpartition(".")
        owner = self._modules[holder]
        if isinstance(owner, nn.MultiheadAttention) and part.startswith("in_proj"):
            each = self._parameters[name].numel() // 3
            part = "_".join(_IN_PROJECTION[start // each : (start + size) // each])
        part = part.removesuffix("_weight")
        values = out[0] if isinstance(out, (tuple, list)) else out
        if function in _PRODUCTS:
            if isinstance(owner, nn.Linear):
                return holder, "Linear", owner
            width = int(values.shape[-1])
            dense = nn.Linear(1, width, bias=False, device="meta")
            return f"{holder}.{part}" if holder else part, "Linear", dense
        if function == "convolution":
            layer = owner if hasattr(owner, "kernel_size") else None
            return holder or part, type(layer or owner).__name__, layer
        if function == "native_layer_norm":
            return holder or part, "LayerNorm", nn.LayerNorm(values.shape[-1], device="meta")
        if function in ("embedding", "index"):
            table = self._parameters[name]
            return (
                f"{holder}.{part}" if holder else part,
                "Embedding",
                nn.Embedding(len(table), int(table.shape[-1]), device="meta"),
            )
        return holder, f"{sign} {part.replace('_', ' ').strip()}", None


def _is_bias(name: str) -> bool:
    return name.endswith("bias")
