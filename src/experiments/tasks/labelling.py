"""Labelling: one class for every step of a sequence that asks for one."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from experiments.batches import IGNORED, Sequences
from experiments.errors import UserError
from experiments.tasks.base import Task


class Labelling(Task):
    """Cross-entropy over the steps that have a label; accuracy over them, all steps of all sequences counted alike.

    Args:
        model: gives logits a step, `Sequences` -> (B, T, num_classes).
        spec: a spec with `classes`.
        optimizer: as in `Task`.
        scheduler: as in `Task`.

    Raises:
        UserError: when there are fewer than two classes.
    """

    monitor = ("val/accuracy", "max")

    def __init__(self, model: nn.Module, spec: Any, optimizer: Any, scheduler: Any) -> None:
        if spec.num_classes < 2:
            raise UserError(f"labelling needs two classes or more, the data has {list(spec.classes)}: add a class")
        super().__init__(model, spec, optimizer, scheduler)

    @staticmethod
    def outputs(spec: Any) -> dict[str, Any]:
        return {"num_classes": spec.num_classes, "every_step": True}

    def make_metrics(self) -> MetricCollection:
        return MetricCollection(
            {"accuracy": MulticlassAccuracy(self.spec.num_classes, average="micro", validate_args=False)}
        )

    def step(self, batch: tuple[Sequences, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """`Sequences` and labels (B, T), -100 where none is asked; gives those of the n judged steps, one after another."""
        inputs, target = batch
        judged = target != IGNORED
        logits, labels = self.model(inputs)[judged], target[judged]  # (n, num_classes), (n,)
        return F.cross_entropy(logits, labels), logits, labels

    def train_sums(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"accuracy": prediction.argmax(1).eq(target).sum()}
