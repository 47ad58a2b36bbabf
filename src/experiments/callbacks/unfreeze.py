"""Freeze and release stages at the start of an epoch, as the freezing strategy says."""

from __future__ import annotations

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import DDPStrategy

from experiments.callbacks.lightning_state import look_for_unused_parameters
from experiments.transfer.freezing import Freezing


class FreezeByEpoch(Callback):
    """Tell a `Freezing` which epoch begins; the callback has no state, because the epoch decides everything."""

    def __init__(self, freezing: Freezing) -> None:
        self.freezing = freezing

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        # Whoever is released later is in DistributedDataParallel's buckets from the start, and until then gets no
        # gradient: it has to look for those, or waits for them in vain.
        if stage == "fit" and self.freezing.late and isinstance(trainer.strategy, DDPStrategy):
            look_for_unused_parameters(trainer.strategy)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # A run taken up in the middle of an epoch is not told of its start.
        self.freezing.enter(trainer.current_epoch)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.freezing.enter(trainer.current_epoch)
