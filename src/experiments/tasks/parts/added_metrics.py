"""Metrics that a config adds to those of a task: `task.metrics`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection

from experiments.errors import UserError, first_line

PARTS = ("val", "test")


class AddedMetrics(nn.Module):
    """Metrics by name, of their own in validation and in test; none until `add` is called."""

    def __init__(self) -> None:
        super().__init__()
        self.of = nn.ModuleDict()
        self.names: tuple[str, ...] = ()

    def add(self, metrics: Mapping[str, Metric]) -> None:
        """Take metrics by name, in the place of those before."""
        self.names = tuple(metrics)
        for part in PARTS:
            copies: dict[str, Any] = {name: metric.clone() for name, metric in metrics.items()}
            self.of[part] = MetricCollection(copies, compute_groups=False)

    def update(self, part: str, prediction: Tensor, target: Tensor) -> None:
        """Count a batch.

        Raises:
            UserError: when a metric does not take predictions and targets of these shapes.
        """
        if not self.names:
            return
        try:
            self._of(part).update(prediction, target)
        except (ValueError, RuntimeError, TypeError) as error:
            shapes = f"{tuple(prediction.shape)} and {tuple(target.shape)}"
            raise UserError(
                f"task.metrics ({', '.join(self.names)}) does not take predictions and targets of shapes {shapes}: "
                f"{first_line(error)}; choose a metric for this task"
            ) from error

    def values(self, part: str) -> dict[str, Any]:
        """Give what a part came to, and begin anew."""
        if not self.names:
            return {}
        values = self._of(part).compute()
        self._of(part).reset()
        return values

    def _of(self, part: str) -> MetricCollection:
        return cast(MetricCollection, self.of[part])
