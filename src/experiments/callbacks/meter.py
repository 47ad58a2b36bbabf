"""What a run costs: time spent in training, examples a second, memory."""

from __future__ import annotations

import time
from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from experiments.callbacks.progress import examples_in
from experiments.loggers.base import RunLogger
from experiments.system.processes import peak_memory
from experiments.tasks.base import Task


class Meter(Callback):
    """Times training without validation; adds nothing to a step."""

    def __init__(self) -> None:
        self.seconds, self.examples, self.epochs = 0.0, 0, 0
        self._since: float | None = None
        self._peak: int = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.on_train_epoch_start(trainer, pl_module)  # which a run taken up in the middle of an epoch does not call

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._since = time.perf_counter()
        for logger in trainer.loggers:
            if isinstance(logger, RunLogger):
                logger.epoch = trainer.current_epoch
        self._examples_before = self._seen(pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._pause()
        self.examples += (self._seen(pl_module) - self._examples_before) * trainer.world_size
        self.epochs += 1

    def _seen(self, pl_module: LightningModule) -> int:
        """Examples of the epoch so far, in this process."""
        return cast(Task, pl_module).sums["train"].examples

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._pause()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._since = time.perf_counter()

    def _pause(self) -> None:
        if self._since is not None:
            self.seconds += time.perf_counter() - self._since
            self._since = None

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        device = trainer.strategy.root_device
        if device.type == "cuda":
            self._peak = torch.cuda.max_memory_allocated(device)

    def cost(self) -> dict[str, Any]:
        """`train_seconds`, `examples_per_second`, and `peak_memory_mb` (of the GPU, else of the process)."""
        return {
            "train_seconds": round(self.seconds, 3),
            "examples_per_second": round(self.examples / self.seconds, 1) if self.seconds else None,
            "peak_memory_mb": round((self._peak or peak_memory()) / 2**20, 1),
        }


class CountingMeter(Meter):
    """For a LightningModule that does not count its examples: counts those of each batch."""

    def __init__(self) -> None:
        super().__init__()
        self._counted = 0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._counted += examples_in(batch)

    def _seen(self, pl_module: LightningModule) -> int:
        return self._counted
