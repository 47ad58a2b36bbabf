"""Data of a LightningModule that has loaders of its own, as Lightning's `trainer.fit(module)` takes it."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities.model_helpers import is_overridden

LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader", "predict_dataloader")


class OwnLoaders(LightningDataModule):
    """Gives the loaders that a LightningModule defines, and none of those that it does not."""

    def take(self, module: Any) -> None:
        """Take the loaders of a module, before a Trainer asks for them."""
        for name in LOADERS:
            if is_overridden(name, module):
                setattr(self, name, getattr(module, name))  # where Lightning looks too for what is defined
