"""Means over an epoch, kept as sums on the device: a few microseconds a step, no synchronisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule


class RunningSums:
    """Named sums over examples; `loss` is given as a mean over the batch, the others as sums over it."""

    def __init__(self) -> None:
        self.examples = 0
        self.sums: dict[str, Tensor] = {}

    def add(self, examples: int, loss: Tensor, **sums: Tensor) -> None:
        """Adds one batch of `examples` examples; all tensors are scalars without a graph."""
        self.examples += examples
        if not self.sums:
            dtype = torch.float32 if loss.device.type == "mps" else torch.float64
            self.sums = {name: torch.zeros((), dtype=dtype, device=loss.device) for name in ("loss", *sums)}
        self.sums["loss"].add_(loss, alpha=examples)
        for name, value in sums.items():
            self.sums[name].add_(value)

    def means(self, module: LightningModule) -> dict[str, Tensor]:
        """Means over all examples of all processes; empty when nothing was added."""
        if not self.sums:
            return {}
        names = list(self.sums)
        totals = torch.stack([*self.sums.values(), self.sums["loss"].new_tensor(self.examples)])
        if module.trainer.world_size > 1:
            torch.distributed.all_reduce(totals)
        return dict(zip(names, (totals[:-1] / totals[-1]).float(), strict=True))

    def reset(self) -> None:
        self.examples, self.sums = 0, {}

    def state_dict(self) -> dict[str, Any]:
        return {"examples": self.examples, "sums": {name: value.clone() for name, value in self.sums.items()}}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        self.examples = state.get("examples", 0)
        self.sums = {name: value.to(device) for name, value in state.get("sums", {}).items()}
