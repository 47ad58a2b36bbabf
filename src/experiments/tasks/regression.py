"""Regression: some numbers for each example."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MeanAbsoluteError, MeanMetric, MeanSquaredError, MetricCollection

from experiments.errors import UserError
from experiments.spec import TextSpec
from experiments.tasks.base import Task
from experiments.tasks.parts.correlation import Correlation
from experiments.tasks.report import Report
from experiments.tasks.reports.regression import RegressionReport

CLOSE = 0.04  # an answer within this of the truth counts as right (Hochreiter and Schmidhuber, 1997)


class Within(MeanMetric):
    """Share of answers within some distance of the truth."""

    def __init__(self, distance: float) -> None:
        super().__init__()
        self.distance = distance

    def update(self, prediction: Tensor, target: Tensor) -> None:  # type: ignore[override]
        super().update((prediction - target).abs().lt(self.distance).float())


class Regression(Task):
    """Mean squared error; its mean absolute error, and the share of answers within 0.04 of the truth (`close`).

    Of texts Pearson's and Spearman's coefficients too.

    Args:
        model: gives numbers, (B, …) -> (B, values).
        spec: a spec with `values`, how many numbers are asked.
        optimizer: as in `Task`.
        scheduler: as in `Task`.

    Raises:
        UserError: when the data ask for no number.
    """

    report_class: type[Report] = RegressionReport
    cacheable = True

    def __init__(self, model: nn.Module, spec: Any, optimizer: Any, scheduler: Any) -> None:
        if not getattr(spec, "values", 0):
            raise UserError("task=regression needs data that ask for numbers: take data=adding, or another task")
        self.of_texts = isinstance(spec, TextSpec) and spec.values == 1
        super().__init__(model, spec, optimizer, scheduler)
        if self.of_texts:
            self.monitor = ("val/spearman", "max")

    @staticmethod
    def outputs(spec: Any) -> dict[str, Any]:
        return {"num_classes": spec.values}

    def make_metrics(self) -> MetricCollection:
        metrics: dict[str, Any] = {"mse": MeanSquaredError(), "mae": MeanAbsoluteError(), "close": Within(CLOSE)}
        if self.of_texts:
            metrics |= {"pearson": Correlation(ranked=False), "spearman": Correlation(ranked=True)}
        return MetricCollection(metrics, compute_groups=False)

    def step(self, batch: tuple[Any, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs, and numbers (B, values)."""
        inputs, target = batch
        numbers = self.model(inputs)
        target = target.to(numbers.dtype)
        return F.mse_loss(numbers, target), numbers, target
