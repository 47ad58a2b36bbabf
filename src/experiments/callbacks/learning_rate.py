"""The learning rate as a scalar, once an epoch."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer


class LearningRate(Callback):
    """Logs `train/learning_rate`, the rate of each epoch's first step.

    With several parameter groups it logs `train/learning_rate/<name or number>` for each.
    """

    def __init__(self) -> None:
        self.rates: dict[str, float] = {}

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        groups = trainer.optimizers[0].param_groups if trainer.optimizers else []
        several = len(groups) > 1
        self.rates = {
            f"/{group.get('name', n)}" if several else "": float(group["lr"]) for n, group in enumerate(groups)
        }

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        pl_module.log_dict({f"train/learning_rate{name}": rate for name, rate in self.rates.items()})

    # An epoch that is taken up in its middle does not start again.
    def state_dict(self) -> dict[str, Any]:
        return {"rates": dict(self.rates)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rates = state_dict["rates"]
