"""Precision against recall of each class over the test set, for TensorBoard's PR CURVES tab."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from experiments.contracts import TakesPrCurves

THRESHOLDS = 127  # as TensorBoard's own


class PRCurves(Callback):
    """Counts hits and false alarms of each class by threshold of its chance; loggers that know curves write them.

    Args:
        classes: draws nothing where there are more, as the tab has a curve for each.
    """

    def __init__(self, classes: int = 10) -> None:
        self._classes = classes
        self._counts: Tensor | None = None  # (2, classes, thresholds): others and members of a class, by their chance

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._counts = None

    @torch.no_grad()
    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Sort the chances of a batch into bins, on the device and without waiting for it."""
        scores, target = (outputs.get(key) if isinstance(outputs, dict) else None for key in ("prediction", "target"))
        if not (isinstance(scores, Tensor) and isinstance(target, Tensor) and (scores.ndim, target.ndim) == (2, 1)):
            return
        if target.is_floating_point() or not 2 <= scores.shape[1] <= self._classes:
            return
        new_counts = counts(scores.float().softmax(dim=1), target)
        self._counts = new_counts if self._counts is None else self._counts + new_counts

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._counts is None:
            return
        if trainer.world_size > 1:
            self._counts = trainer.strategy.reduce(self._counts, reduce_op="sum")  # type: ignore[assignment]
        names = getattr(getattr(pl_module, "spec", None), "classes", None) or range(self._counts.shape[1])
        for logger in trainer.loggers:
            if trainer.is_global_zero and isinstance(logger, TakesPrCurves):
                for name, rows in zip(names, curves(self._counts.cpu()), strict=True):
                    logger.log_pr_curve(f"test/{name}", rows.tolist(), trainer.global_step)


def counts(chances: Tensor, target: Tensor) -> Tensor:
    """Examples by class and bin of that class's chance: (2, C, thresholds), others first and then members.

    Args:
        chances: (N, C), from 0 to 1.
        target: (N,).
    """
    number = chances.shape[1]
    bins = (chances * (THRESHOLDS - 1)).long().clamp(0, THRESHOLDS - 1)
    member = torch.nn.functional.one_hot(target, number)
    place = (member * number + torch.arange(number, device=chances.device)) * THRESHOLDS + bins
    return torch.bincount(place.flatten(), minlength=2 * number * THRESHOLDS).view(2, number, THRESHOLDS)


def curves(class_counts: Tensor) -> Tensor:
    """True and false positives, true and false negatives, precision and recall by threshold: (C, 6, thresholds)."""
    above = class_counts.double().flip(2).cumsum(2).flip(2)
    false, true = above
    positives, negatives = true[:, :1], false[:, :1]
    precision, recall = true / (true + false).clamp(min=1e-7), true / positives.clamp(min=1e-7)
    return torch.stack([true, false, negatives - false, positives - true, precision, recall], dim=1)
