"""Functions that do what a layer does, by the layer: pictures show both alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

_FUNCTIONS: dict[str, Callable[..., nn.Module]] = {  # of torch.nn.functional, and the layers that say the same
    "relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU, "silu": nn.SiLU, "elu": nn.ELU,
    "leaky_relu": nn.LeakyReLU, "hardtanh": nn.ReLU6, "hardswish": nn.Hardswish,
    "_softmax": nn.Softmax, "_safe_softmax": nn.Softmax,
}  # fmt: skip


def as_layer(function: str, args: Any) -> nn.Module | None:
    """Return the layer that does what a function does; None where the function is none that a picture shows."""
    if function in _FUNCTIONS:
        return _FUNCTIONS[function]()
    values, *rest = args
    if function in ("max_pool2d_with_indices", "avg_pool2d"):
        size, stride = rest[0], (rest[1] if len(rest) > 1 and rest[1] else rest[0])
        kind = nn.AvgPool2d if function == "avg_pool2d" else nn.MaxPool2d
        return kind(_pair(size), _pair(stride))
    if function == "_adaptive_avg_pool2d":
        return nn.AdaptiveAvgPool2d(_pair(rest[0]))
    if function == "mean" and values.dim() == 4 and rest and {axis % 4 for axis in rest[0]} == {2, 3}:
        return nn.AdaptiveAvgPool2d(1)
    return None


def _pair(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[0], size[-1])
