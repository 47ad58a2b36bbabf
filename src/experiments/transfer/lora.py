"""Low-rank updates of linear and convolution layers: W + (alpha / rank) · B A, with W frozen.

Hu, Shen, Wallis, Allen-Zhu, Li, Wang, Wang and Chen, 2022, "LoRA: Low-Rank Adaptation of Large Language Models". A
convolution's weight is taken as a matrix of (filters, everything else).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_PLACE = "parametrizations.weight"


class LowRank(nn.Module):
    """The update of one weight: as a parametrisation of it, so that the layer stays what it was for everyone else.

    Args:
        weight: (out, …), the layer's.
        rank: of the update; never more than the weight's own.
        alpha: the update is multiplied by alpha / rank.
    """

    def __init__(self, weight: Tensor, rank: int, alpha: float) -> None:
        super().__init__()
        rows, columns = len(weight), weight[0].numel()
        rank = min(rank, rows, columns)
        self.down = nn.Parameter(weight.new_empty(rank, columns))
        self.up = nn.Parameter(weight.new_zeros(rows, rank))  # zero: the first step starts from the given network
        self.register_buffer("scale", torch.tensor(alpha / rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, weight: Tensor) -> Tensor:
        """(out, …) -> (out, …)."""
        return updated(weight, self.down, self.up, self.scale)  # type: ignore[arg-type]


def updated(weight: Tensor, down: Tensor, up: Tensor, scale: Tensor) -> Tensor:
    """Return a weight (out, …) with its update of `up` (out, rank) and `down` (rank, the rest)."""
    return weight + (scale * up @ down).view_as(weight)


def add_low_rank(model: nn.Module, rank: int, alpha: float, layers: str | None, skip: str) -> list[str]:
    """Gives every linear and convolution layer outside one stage an update that is zero at first.

    Args:
        model: changed in place.
        rank: of the updates.
        alpha: see `LowRank`.
        layers: a regular expression that a layer's name must match somewhere; None takes all.
        skip: name of the stage to leave out.

    Returns:
        Names of the new parameters.
    """
    adapted = [
        (name, layer)
        for name, layer in model.named_modules()
        if isinstance(layer, LAYERS)
        and name.split(".")[0] != skip
        and (layers is None or re.search(layers, name))
        and not parametrize.is_parametrized(layer, "weight")  # such as by its norm, in networks of sound
    ]
    names = []
    for name, layer in adapted:
        parametrize.register_parametrization(layer, "weight", LowRank(layer.weight, rank, alpha), unsafe=True)
        names += [f"{name}.{_PLACE}.0.{inner}" for inner in ("down", "up")]
    return names


@torch.no_grad()
def merge(model: nn.Module) -> nn.Module:
    """Turns every low-rank update of a model into plain weights, in place; the network computes what it did."""
    for layer in list(model.modules()):
        if parametrize.is_parametrized(layer, "weight") and isinstance(layer.parametrizations.weight[0], LowRank):  # type: ignore[index, union-attr]
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
    return model


def merged(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict whose low-rank updates have become plain weights; any other comes back as it is."""
    plain: dict[str, Tensor] = {}
    for name, value in state.items():
        layer, _, rest = name.partition(f".{_PLACE}.")
        if f"{layer}.{_PLACE}.0.down" not in state or not rest:
            plain[name] = value
        elif rest == "original":
            down, up, scale = (state[f"{layer}.{_PLACE}.0.{inner}"] for inner in ("down", "up", "scale"))
            plain[f"{layer}.weight"] = updated(value, down, up, scale)
    return plain
