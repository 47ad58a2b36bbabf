"""`trainer.overfit_batches`: the same batches in every epoch."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer


class SameBatches(Callback):
    """Lets every epoch of training draw what the first one drew: order, crops and flips.

    Lightning takes the shuffling out of a DataLoader's sampler for `overfit_batches`. Our data shuffle in a batch sampler,
    by the number of the epoch.
    """

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        sampler: Any = getattr(getattr(trainer.train_dataloader, "batch_sampler", None), "sampler", None)
        if hasattr(sampler, "set_epoch"):
            sampler.set_epoch(0)
