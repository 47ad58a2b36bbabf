"""Gradient accumulation: the last, smaller group of an epoch is divided by its own size."""

from __future__ import annotations

from lightning.pytorch import Callback, LightningModule, Trainer
from torch.optim import Optimizer

from experiments.tasks.base import Task


class WholeGroups(Callback):
    """Makes up for batches that the last group of an epoch lacks, so that its step is one of their mean as well.

    Lightning divides each loss by `accumulate_grad_batches`, also where an epoch ends within a group. Modules of others keep
    what Lightning does.
    """

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        size = trainer.accumulate_grad_batches
        there = trainer.fit_loop.epoch_loop.batch_progress.current.ready % size
        if there == 0 or not isinstance(pl_module, Task):
            return
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.grad.mul_(size / there)
