"""Labelling: one class for every step of a sequence that asks for one, such as the entities or parts of speech of words."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MetricCollection
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
    MulticlassPrecision,
    MulticlassRecall,
)

from experiments.batches import IGNORED, Sequences
from experiments.errors import UserError
from experiments.spec import TextSpec
from experiments.tasks.base import Task
from experiments.tasks.parts.entities import EntityScore, is_scheme
from experiments.tasks.report import Report
from experiments.tasks.reports.labelling import LabellingReport


class Labelling(Task):
    """Cross-entropy over the steps that have a label; accuracy over them, all steps of all sequences counted alike.

    Where the labels mark entities (`O`, `B-person`, `I-person`), precision, recall and F1 are those of whole entities, as
    seqeval counts them; of other labels of words their means over the classes.

    Args:
        model: gives logits a step, `Sequences` -> (B, T, num_classes).
        spec: a spec with `classes`.
        optimizer: as in `Task`.
        scheduler: as in `Task`.

    Raises:
        UserError: when there are fewer than two classes.
    """

    report_class: type[Report] = LabellingReport

    monitor = ("val/accuracy", "max")
    cacheable = True

    def __init__(self, model: nn.Module, spec: Any, optimizer: Any, scheduler: Any) -> None:
        if spec.num_classes < 2:
            raise UserError(f"labelling needs two classes or more, the data has {list(spec.classes)}: add a class")
        self.entities = is_scheme(spec.classes)
        self.of_words = isinstance(spec, TextSpec) and bool(
            spec.special
        )  # else generated symbols, of which accuracy says all
        super().__init__(model, spec, optimizer, scheduler)
        if self.entities:
            self.monitor = ("val/f1", "max")
            self.counts = EntityScore(spec.classes, "f1")
        elif self.of_words:
            self.matrix = MulticlassConfusionMatrix(spec.num_classes, validate_args=False)
        self.test_counts: Tensor | None = None
        self.starts: Tensor | None = None

    @staticmethod
    def outputs(spec: Any) -> dict[str, Any]:
        return {"num_classes": spec.num_classes, "every_step": True}

    def make_metrics(self) -> MetricCollection:
        classes = self.spec.num_classes
        metrics: dict[str, Any] = {"accuracy": MulticlassAccuracy(classes, average="micro", validate_args=False)}
        if self.entities:
            metrics |= {which: EntityScore(self.spec.classes, which) for which in ("precision", "recall", "f1")}
        elif self.of_words:
            macro = {"num_classes": classes, "average": "macro", "validate_args": False}
            metrics |= {
                "precision": MulticlassPrecision(**macro),
                "recall": MulticlassRecall(**macro),
                "f1": MulticlassF1Score(**macro),
            }
        rest = [name for name in metrics if name != "accuracy"]
        return MetricCollection(metrics, compute_groups=[["accuracy"], *([rest] if rest else [])])

    def step(self, batch: tuple[Sequences, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """`Sequences` and labels (B, T), -100 where none is asked; gives those of the n judged steps, one after another."""
        inputs, target = batch
        judged = target != IGNORED
        logits, labels = self.model(inputs)[judged], target[judged]  # (n, num_classes), (n,)
        if self.entities:
            self.starts = (judged.cumsum(1) == 1)[judged]  # (n,) where a sentence begins
        return F.cross_entropy(logits, labels), logits, labels

    def train_sums(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"accuracy": prediction.argmax(1).eq(target).sum()}

    def _evaluate(self, split: str, batch: Any) -> tuple[Tensor, Tensor, Tensor]:
        if not self.entities:
            return super()._evaluate(split, batch)
        loss, logits, labels = self.step(batch)
        self.sums[split].add(len(labels), loss=loss)
        self.metrics_of(split).update(logits, labels, starts=self.starts)
        return loss, logits, labels

    def test_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        result = super().test_step(batch, batch_idx)
        if self.starts is not None:
            self.counts.update(result["prediction"], result["target"], self.starts)
        elif self.of_words:
            self.matrix.update(result["prediction"], result["target"])
        return result

    def on_test_epoch_end(self) -> None:
        super().on_test_epoch_end()
        if self.entities:
            self.counts.compute()
            with self.counts.sync_context(should_sync=self.trainer.world_size > 1):
                self.test_counts = self.counts.counts.cpu()
        elif self.of_words:
            self.test_counts = self.matrix.compute().cpu()
