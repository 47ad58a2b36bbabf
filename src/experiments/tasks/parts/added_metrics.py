"""Metrics that a config adds to those of a task: `task.metrics`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection

from experiments.errors import UserError, first_line

SPLITS = ("val", "test")


class AddedMetrics(nn.Module):
    """Metrics by name, of their own in validation and in test; none until `add` is called."""

    def __init__(self) -> None:
        super().__init__()
        self.of = nn.ModuleDict()
        self.names: tuple[str, ...] = ()

    def add(self, metrics: Mapping[str, Metric]) -> None:
        """Take metrics by name, in the place of those before."""
        self.names = tuple(metrics)
        for split in SPLITS:
            copies: dict[str, Any] = {name: metric.clone() for name, metric in metrics.items()}
            self.of[split] = MetricCollection(copies, compute_groups=False)

    def update(self, split: str, prediction: Tensor, target: Tensor) -> None:
        """Count a batch.

        Raises:
            UserError: when a metric does not take predictions and targets of these shapes.
        """
        if not self.names:
            return
        try:
            self._of(split).update(prediction, target)
        except (ValueError, RuntimeError, TypeError) as error:
            shapes = f"{tuple(prediction.shape)} and {tuple(target.shape)}"
            raise UserError(
                f"task.metrics ({', '.join(self.names)}) does not take predictions and targets of shapes {shapes}: "
                f"{first_line(error)}; choose a metric for this task"
            ) from error

    def values(self, split: str) -> dict[str, Any]:
        """Give what a split came to, and begin anew.

        Raises:
            UserError: when a metric cannot be computed of this task's predictions, or is more than one number.
        """
        if not self.names:
            return {}
        try:
            values = self._of(split).compute()
        except Exception as error:  # whatever torchmetrics meets in predictions that it was not made for
            raise UserError(
                f"task.metrics ({', '.join(self.names)}) cannot be computed of this task's predictions ({first_line(error)}): "
                "choose a metric for this task, such as a Multiclass… one for classes"
            ) from error
        self._of(split).reset()
        for name, value in values.items():
            if isinstance(value, Tensor) and value.numel() == 1:
                continue
            several = f"values of shape {tuple(value.shape)}" if isinstance(value, Tensor) else "several values"
            raise UserError(
                f"task.metrics.{name} gives {several} and a metric is one number: choose another, or an average, as in "
                f"task.metrics.{name}.average=macro"
            )
        return values

    def _of(self, split: str) -> MetricCollection:
        return cast(MetricCollection, self.of[split])
