"""Describes a layer in words: its number of filters, their size, and its purpose."""

from __future__ import annotations

from typing import Any

from torch import nn

PURPOSES = {
    "Conv1d": "finds a pattern wherever it stands",
    "Conv2d": "finds a pattern wherever it stands",
    "ConvTranspose2d": "draws a pattern, larger",
    "ReLU": "keeps what is above zero",
    "Tanh": "bends values into -1 to 1",
    "Sigmoid": "bends values into 0 to 1",
    "GELU": "keeps what is above zero, smoothly",
    "MaxPool2d": "keeps the strongest of each window",
    "AvgPool2d": "keeps the mean of each window",
    "AdaptiveAvgPool2d": "keeps the mean of each part of a map",
    "BatchNorm2d": "brings each channel to one scale",
    "LayerNorm": "brings each vector to one scale",
    "Flatten": "puts all maps into one row",
    "Linear": "weighs all it reads",
    "Dropout": "drops values at random while training",
    "Embedding": "gives each token its vector",
    "RNN": "carries a state from step to step",
    "LSTM": "carries a state that gates keep or forget",
    "GRU": "carries a state that two gates renew",
}

_SLIDING = (
    nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d,
)  # fmt: skip


def filters(m: nn.Module) -> str:
    """Return what a layer counts and how large it is, as `96 of 11 × 11, stride 4`; empty where it has nothing to
    count.
    """
    if isinstance(m, nn.Linear):
        return f"{m.out_features:,}"
    if type(m).__name__ == "Conv1D" and hasattr(m, "nf"):  # the dense layer of GPT-2 in transformers
        return f"{m.nf:,}"
    if isinstance(m, nn.RNNBase):
        return f"{m.hidden_size:,}"
    if isinstance(m, nn.Embedding):
        return f"{m.num_embeddings:,}"
    if not isinstance(m, _SLIDING):
        return ""
    sides = 1 if type(m).__name__.endswith("1d") else 2
    size, stride = _sides(m.kernel_size, sides), _each(m.stride, sides)
    words = f"{m.out_channels:,} of {size}" if hasattr(m, "out_channels") else size
    words += f", stride {stride[0] if len(set(stride)) == 1 else _sides(stride, sides)}" if set(stride) != {1} else ""
    spread = _each(getattr(m, "dilation", 1), sides)
    words += f", dilation {_sides(spread[:1] if len(set(spread)) == 1 else spread, 1)}" if set(spread) != {1} else ""
    return words + (f", {m.groups} groups" if getattr(m, "groups", 1) > 1 else "")


def _sides(value: Any, sides: int) -> str:
    return " × ".join(map(str, _each(value, sides)))


def _each(value: Any, sides: int) -> tuple[int, ...]:
    """3 and (3, 3) are the same."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * sides
