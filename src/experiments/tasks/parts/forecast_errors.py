"""Errors of forecasts: sums over windows, by step ahead and column."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric


class ForecastError(Metric):
    """What all of them add up; a subclass says what it makes of the sums.

    Updated with forecasts (N, horizon, C, Q) and truths (N, horizon, C), both scaled. What is no quantile or lies in the
    middle of them is the forecast.

    Args:
        horizon: steps ahead.
        mean: one value a column: what was taken off in scaling.
        std: what was divided by.
        naive_error: what MASE divides by, scaled.
        middle: place among the quantiles that counts as the forecast.

    Attributes:
        by_step: after `compute`, the error at each step ahead.
        by_column: after `compute`, the error of each column.
    """

    full_state_update = False
    higher_is_better = False
    squared: Tensor
    absolute: Tensor
    symmetric: Tensor
    covered: Tensor
    windows: Tensor

    def __init__(
        self,
        horizon: int,
        mean: Sequence[float],
        std: Sequence[float],
        naive_error: Sequence[float],
        middle: int,
    ) -> None:
        super().__init__()
        self.middle = middle
        for name, values in (("mean", mean), ("std", std), ("naive_error", naive_error)):
            self.register_buffer(name, torch.tensor(list(values), dtype=torch.float32), persistent=False)
        for name in ("squared", "absolute", "symmetric", "covered"):
            self.add_state(name, torch.zeros(horizon, len(mean)), dist_reduce_fx="sum")
        self.add_state("windows", torch.zeros(()), dist_reduce_fx="sum")
        self.by_step: list[float] = []
        self.by_column: list[float] = []

    def update(self, forecast: Tensor, truth: Tensor) -> None:
        quantiles, truth = forecast.float(), truth.float()
        point = quantiles[..., self.middle]
        error = point - truth
        self.squared += error.square().sum(0)
        self.absolute += error.abs().sum(0)
        mean, std = self.mean, self.std
        a, b = point * std + mean, truth * std + mean  # type: ignore[operator]
        size = a.abs() + b.abs()
        self.symmetric += torch.where(size > 0, 2 * (a - b).abs() / size, 0.0).sum(0)
        self.covered += ((truth >= quantiles[..., 0]) & (truth <= quantiles[..., -1])).sum(0)
        self.windows += len(truth)

    def _mean_of(self, sums: Tensor) -> Tensor:
        """Mean over everything of sums (horizon, C); keeps the means by step and column."""
        means = sums / self.windows
        self.by_step, self.by_column = means.mean(1).tolist(), means.mean(0).tolist()
        return means.mean()


class MSE(ForecastError):
    """Mean squared error, of scaled values."""

    def compute(self) -> Tensor:
        return self._mean_of(self.squared)


class MAE(ForecastError):
    """Mean absolute error, of scaled values."""

    def compute(self) -> Tensor:
        return self._mean_of(self.absolute)


class MASE(ForecastError):
    """Mean absolute scaled error (Hyndman and Koehler, 2006): below 1 is better than repeating the season before was on
    the training split. Columns in which that made no error count nothing."""

    def compute(self) -> Tensor:
        moving: Tensor = self.naive_error > 0  # type: ignore[assignment, operator]
        return self._mean_of((self.absolute / self.naive_error)[:, moving])  # type: ignore[operator]


class SMAPE(ForecastError):
    """Symmetric mean absolute percentage error, 0 to 200, of values in their own units."""

    def compute(self) -> Tensor:
        return 100 * self._mean_of(self.symmetric)


class Coverage(ForecastError):
    """Share of truths between the lowest and the highest quantile."""

    higher_is_better = None  # type: ignore[assignment]

    def compute(self) -> Tensor:
        return self._mean_of(self.covered)
