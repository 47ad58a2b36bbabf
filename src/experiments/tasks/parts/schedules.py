"""Learning-rate schedules: each takes the optimizer and its horizon, and gives Lightning's scheduler entries."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR, ReduceLROnPlateau, StepLR


class Horizon(NamedTuple):
    """How long a run is, and which way its watched metric improves."""

    total_steps: int
    epoch_steps: int
    mode: Literal["min", "max"]


def step(optimizer: Optimizer, horizon: Horizon, *, every_epochs: int, factor: float) -> dict[str, Any]:
    """Multiplies the rate by `factor` every `every_epochs` epochs."""
    return {"scheduler": StepLR(optimizer, every_epochs, factor), "interval": "epoch"}


def cosine(optimizer: Optimizer, horizon: Horizon, *, warmup_epochs: float, final: float) -> dict[str, Any]:
    """Linear warm-up over `warmup_epochs`, then half a cosine down to `final` times the rate.

    Follows Loshchilov and Hutter, 2017, "SGDR", without restarts.
    """
    warmup = min(round(warmup_epochs * horizon.epoch_steps), horizon.total_steps - 1)

    def factor(number: int) -> float:
        if number < warmup:
            return (number + 1) / (warmup + 1)
        progress = min(1.0, (number - warmup) / max(1, horizon.total_steps - warmup))
        return final + (1 - final) * (1 + math.cos(math.pi * progress)) / 2

    return {"scheduler": LambdaLR(optimizer, factor), "interval": "step"}


def one_cycle(optimizer: Optimizer, horizon: Horizon, *, warmup_share: float) -> dict[str, Any]:
    """Up to the rate and down to almost nothing in one cycle (Smith and Topin, 2018, "Super-convergence")."""
    rates = [group["lr"] for group in optimizer.param_groups]
    momentum = "momentum" in optimizer.defaults or "betas" in optimizer.defaults
    if optimizer.defaults.get("momentum") == 0:
        momentum = False
    schedule = OneCycleLR(
        optimizer, rates, total_steps=horizon.total_steps, pct_start=warmup_share, cycle_momentum=momentum
    )
    return {"scheduler": schedule, "interval": "step"}


def plateau(optimizer: Optimizer, horizon: Horizon, *, factor: float, patience: int) -> dict[str, Any]:
    """Multiplies the rate by `factor` when what the task watches has not improved for `patience` epochs."""
    return {
        "scheduler": ReduceLROnPlateau(optimizer, mode=horizon.mode, factor=factor, patience=patience),
        "interval": "epoch",
    }  # type: ignore[arg-type]
