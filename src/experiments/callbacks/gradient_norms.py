"""How large gradients are while a network learns, before any clipping, and how they differ from first to last stage."""

from __future__ import annotations

import math
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor


class GradientNorms(Callback):
    """Logs, every epoch, `train/gradient_norm` (the mean over its steps), `train/gradient_largest` (of all steps so far) and
    `train/gradient_first_to_last` (norm of the first stage that learns over that of the last, geometric mean of the first epoch).

    A norm that is no finite number counts as the largest of its precision.
    """

    def __init__(self) -> None:
        self._largest = 0.0
        self._first_to_last: float | None = None
        self._norms: list[Tensor] = []
        self._ratios: list[Tensor] = []

    def state_dict(self) -> dict[str, Any]:
        return {"largest": self._largest, "first_to_last": self._first_to_last}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._largest, self._first_to_last = state_dict["largest"], state_dict["first_to_last"]

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        norms = [norm for stage in pl_module.model.children() if (norm := _norm(stage)) is not None]  # type: ignore[operator, union-attr]
        if not norms:
            return
        self._norms.append(torch.stack(norms).norm())
        if self._first_to_last is None:
            self._ratios.append(norms[0] / norms[-1])

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self._norms:
            return
        norms = torch.nan_to_num(torch.stack(self._norms).double(), nan=1e38, posinf=1e38)
        self._largest = max(self._largest, float(norms.max()))
        if self._first_to_last is None:
            ratios = torch.nan_to_num(torch.stack(self._ratios).double(), nan=1e38, posinf=1e38).clamp(min=1e-38)
            self._first_to_last = math.exp(float(ratios.log().mean()))
        self._norms, self._ratios = [], []
        values = {"norm": float(norms.mean()), "largest": self._largest, "first_to_last": self._first_to_last}
        pl_module.log_dict({f"train/gradient_{name}": value for name, value in values.items()})


def _norm(stage: torch.nn.Module) -> Tensor | None:
    """Of all gradients of a stage; None where nothing of it learns."""
    found = [parameter.grad.norm() for parameter in stage.parameters() if parameter.grad is not None]
    return torch.stack(found).norm() if found else None
