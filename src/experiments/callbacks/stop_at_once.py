"""Stops outside training of one process among several."""

from __future__ import annotations

from lightning.pytorch import Callback, LightningModule, Trainer

from experiments.system.signals import handle, stop


class StopAtOnce(Callback):
    """Ends one process among several at once when it is asked to stop in a test or before training.

    Lightning's handler of SIGTERM tells the others by a broadcast, for which these wait in training alone: elsewhere both sides would
    wait for ever. The launcher ends the others when one process has ended.
    """

    def on_sanity_check_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._take_over(trainer)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._take_over(trainer)

    def _take_over(self, trainer: Trainer) -> None:
        if trainer.world_size > 1:
            handle(stop)
