"""The learning rate as a scalar, once an epoch."""

from __future__ import annotations

from lightning.pytorch import Callback, LightningModule, Trainer


class LearningRate(Callback):
    """Logs `train/learning_rate`, the rate of the last step of each epoch.

    With several parameter groups it logs `train/learning_rate/<name or number>` for each.
    """

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        groups = trainer.optimizers[0].param_groups
        if len(groups) == 1:
            pl_module.log("train/learning_rate", groups[0]["lr"])
            return
        for number, group in enumerate(groups):
            pl_module.log(f"train/learning_rate/{group.get('name', number)}", group["lr"])
