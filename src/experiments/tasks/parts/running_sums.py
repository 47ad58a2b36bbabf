"""Means over an epoch, kept as sums on the device: a few microseconds a step, no synchronisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule

_WEIGHT = "weight of the loss"


class RunningSums:
    """Named sums over examples; `loss` is given as a mean over the batch, the others as sums over it.

    A loss that weighs examples unequally comes with the sum of its weights in the batch: its mean over an epoch is then the
    sum of weighted losses over the sum of weights, whatever the batches were. A loss of several parts, each with weights of
    its own, is the sum of the parts' means.
    """

    def __init__(self) -> None:
        self.examples = 0
        self.sums: dict[str, Tensor] = {}

    def add(self, examples: int, loss: Tensor, weight: Tensor | None = None, **sums: Tensor) -> None:
        """Adds one batch of `examples` examples; all tensors are without a graph, and scalars but for a loss and a weight (parts,)."""
        if not examples:  # a batch in which nothing is asked has no mean
            return
        self.examples += examples
        if weight is not None:
            sums = {**sums, _WEIGHT: weight}
        if not self.sums:
            dtype = torch.float32 if loss.device.type == "mps" else torch.float64
            values = {"loss": loss, **sums}
            self.sums = {
                name: torch.zeros(tensor.shape, dtype=dtype, device=loss.device) for name, tensor in values.items()
            }
        if weight is None:
            self.sums["loss"].add_(loss, alpha=examples)
        else:  # a batch without weight has no mean
            self.sums["loss"].add_(torch.where(weight > 0, loss * weight, 0.0))
        for name, value in sums.items():
            self.sums[name].add_(value)

    def means(self, module: LightningModule) -> dict[str, Tensor]:
        """Means over all examples of all processes; empty when nothing was added."""
        if not self.sums:
            return {}
        parts = [value.reshape(-1) for value in self.sums.values()]
        totals = torch.cat([*parts, parts[0].new_tensor([self.examples])])
        if module.trainer.world_size > 1:
            torch.distributed.all_reduce(totals)
        *shares, examples = totals.split([*map(len, parts), 1])
        sums = dict(zip(self.sums, shares, strict=True))
        means = {name: (value / examples).sum().float() for name, value in sums.items() if name != _WEIGHT}
        if _WEIGHT in sums:
            weight = sums[_WEIGHT]
            means["loss"] = torch.where(weight > 0, sums["loss"] / weight, 0.0).sum().float()
        return means

    def reset(self) -> None:
        self.examples, self.sums = 0, {}

    def state_dict(self) -> dict[str, Any]:
        return {"examples": self.examples, "sums": {name: value.clone() for name, value in self.sums.items()}}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        self.examples = state.get("examples", 0)
        self.sums = {name: value.to(device) for name, value in state.get("sums", {}).items()}


def joined(states: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the states of several processes as one."""
    sums: dict[str, Tensor] = {}
    for state in states:
        for name, value in state.get("sums", {}).items():
            sums[name] = sums[name] + value if name in sums else value
    return {"examples": sum(state.get("examples", 0) for state in states), "sums": sums}
