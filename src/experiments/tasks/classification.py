"""Classification: one label an example."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MetricCollection
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
    MulticlassMatthewsCorrCoef,
    MulticlassPrecision,
    MulticlassRecall,
)

from experiments.errors import UserError
from experiments.spec import TextSpec
from experiments.tasks.base import Task
from experiments.tasks.parts import class_weights as parts
from experiments.tasks.report import Report
from experiments.tasks.reports.classification import ClassificationReport


class Classification(Task):
    """Cross-entropy with label smoothing and class weights; accuracy, top-5, macro precision, recall and F1.

    Of texts in two classes Matthews' coefficient too.

    After a test, `confusion` holds counts (num_classes, num_classes): rows are true classes, columns
    predicted ones.

    Args:
        model: gives logits, (B, …) -> (B, num_classes).
        spec: a spec with `classes`.
        optimizer: as in `Task`.
        scheduler: as in `Task`.
        label_smoothing: share of the target spread over all classes, in [0, 1).
        class_weights: None; one weight a class; or "balanced", for weights inversely proportional to the
            classes' counts in the training split.
        class_counts: examples of each class in the training split, for "balanced".

    Raises:
        UserError: when there are fewer than two classes, or weights that do not match them.
    """

    report_class: type[Report] = ClassificationReport
    test_keys: tuple[str, ...] = ("label_smoothing",)

    monitor = ("val/accuracy", "max")
    cacheable = True

    def __init__(
        self,
        model: nn.Module,
        spec: Any,
        optimizer: Any,
        scheduler: Any,
        *,
        label_smoothing: float = 0.0,
        class_weights: Sequence[float] | str | None = None,
        class_counts: Sequence[int] | None = None,
    ) -> None:
        if spec.num_classes < 2:
            raise UserError(f"classification needs two classes or more, the data has {list(spec.classes)}: add a class")
        if not 0 <= label_smoothing < 1:
            raise UserError(f"task.label_smoothing={label_smoothing} must lie in [0, 1): try 0.1")
        super().__init__(model, spec, optimizer, scheduler)
        self.label_smoothing = label_smoothing
        weights = parts.class_weights(class_weights, class_counts, spec.num_classes)
        self.register_buffer("class_weights", weights, persistent=False)
        self.matrix = MulticlassConfusionMatrix(spec.num_classes, validate_args=False)
        self.confusion: Tensor | None = None

    @staticmethod
    def from_data(settings: Mapping[str, Any], data: Any) -> dict[str, Any]:
        return parts.counts_where_balanced(settings, data)

    @staticmethod
    def outputs(spec: Any) -> dict[str, Any]:
        return {"num_classes": spec.num_classes}

    def require_output(self, shape: tuple[int, ...] | None) -> None:
        if shape is not None and shape[-1:] != (classes := self.spec.num_classes,):
            raise UserError(
                f"the network gives {' × '.join(map(str, shape)) or 'one'} scores an example and the data has {classes} classes: let its last "
                "layer give num_classes, which its __init__ gets when it takes it"
            )

    def make_metrics(self) -> MetricCollection:
        classes = self.spec.num_classes
        macro = {"num_classes": classes, "average": "macro", "validate_args": False}
        metrics: dict[str, Any] = {
            "accuracy": MulticlassAccuracy(classes, average="micro", validate_args=False),
            "precision": MulticlassPrecision(**macro),
            "recall": MulticlassRecall(**macro),
            "f1": MulticlassF1Score(**macro),
        }
        if classes > 5:
            metrics["top5"] = MulticlassAccuracy(classes, average="micro", top_k=5, validate_args=False)
        if classes == 2 and isinstance(self.spec, TextSpec):
            metrics["matthews"] = MulticlassMatthewsCorrCoef(classes, validate_args=False)
        # Left to itself the collection joins metrics whose states are equal after one batch, by accident too.
        groups: list[list[str]] = [["accuracy"], ["precision", "recall", "f1"]]
        groups += [[name] for name in ("top5", "matthews") if name in metrics]
        return MetricCollection(metrics, compute_groups=groups)

    def step(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Images (B, C, H, W) or other inputs, and labels (B,) or probabilities (B, num_classes)."""
        inputs, target = batch
        output = self.model(inputs)
        if isinstance(output, Tensor):
            return self._loss(output, target), output, target
        if not hasattr(output, "_fields"):
            raise UserError(
                f"the network gives a {type(output).__name__}, and classification learns from one tensor of scores (B, classes): let its "
                "forward return that alone"
            )
        logits, auxiliary, weight = output  # in training mode, of networks with auxiliary heads
        loss = self._loss(logits, target) + weight * sum(self._loss(extra, target) for extra in auxiliary)
        return loss, logits, target

    def _loss(self, logits: Tensor, target: Tensor) -> Tensor:
        if target.is_floating_point():
            target = target.to(logits.dtype)
        weight: Any = self.class_weights
        return F.cross_entropy(logits, target, weight=weight, label_smoothing=self.label_smoothing)

    def loss_weight(self, target: Tensor) -> Tensor | None:
        weights: Any = self.class_weights
        if weights is None or target.is_floating_point():  # of probabilities torch takes the mean over examples
            return None
        return weights[target].sum()

    def train_sums(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        labels = target.argmax(1) if target.is_floating_point() else target
        return {"accuracy": prediction.argmax(1).eq(labels).sum()}

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Tensor]:
        result = super().test_step(batch, batch_idx)
        self.matrix.update(result["prediction"], result["target"])
        return result

    def on_test_epoch_end(self) -> None:
        super().on_test_epoch_end()
        self.confusion = self.matrix.compute().cpu()
        self.matrix.reset()
