"""Forecasts without learning: the baseline that every other forecaster has to beat."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from experiments.batches import Sequences


class NaiveForecaster(nn.Sequential):
    """The last value for ever, or the last season over again. It has no parameter.

    Args:
        features: columns, C.
        history: steps of the past.
        num_classes: values a step of the forecast: C, or C times the number Q of quantiles, which are all alike.
        horizon: steps to forecast.
        form: `last` or `seasonal`.
        season: steps in a period, for `seasonal`; a history that is shorter repeats as a whole.

    Raises:
        ValueError: for another form.
    """

    def __init__(
        self, features: int, history: int, num_classes: int, horizon: int, *, form: str, season: int | None
    ) -> None:
        if form not in ("last", "seasonal"):
            raise ValueError(f"model.form={form} is unknown: choose from last, seasonal")
        if form == "seasonal" and not season:
            raise ValueError("model.season=null leaves open what to repeat: set model.season to the steps of a period")
        period = min(season or 1, history) if form == "seasonal" else 1
        super().__init__(OrderedDict(head=Repeat(period, horizon, num_classes // features)))  # (B, horizon, C · Q)


class Repeat(nn.Module):
    """The last `period` steps over and over: values (B, history, C) -> (B, horizon, C · quantiles)."""

    def __init__(self, period: int, horizon: int, quantiles: int) -> None:
        super().__init__()
        self.quantiles = quantiles
        self.register_buffer("steps", torch.arange(horizon) % period - period, persistent=False)

    def forward(self, x: Sequences) -> Tensor:
        past = x.values
        chosen = past[:, self.steps + past.shape[1]]  # type: ignore[operator]
        return chosen if self.quantiles == 1 else chosen.repeat_interleave(self.quantiles, dim=2)
