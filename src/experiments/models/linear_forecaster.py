"""Linear forecasters: Zeng et al., Are Transformers Effective for Time Series Forecasting? (2023)."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.batches import Sequences


class Parts(NamedTuple):
    """Addends of the past, each (B, C, history), and what is added to the forecast, (B, C, 1)."""

    values: tuple[Tensor, ...]
    level: Tensor | None = None


class LinearForecaster(nn.Sequential):
    """One linear map from past to future, shared by all columns, on a past that was prepared by `form`.

    Args:
        features: columns, C.
        history: steps of the past.
        num_classes: values a step of the forecast: C, or C times the number Q of quantiles.
        horizon: steps to forecast.
        form: `linear` maps the past as it is; `dlinear` its moving average and the rest of it, each by a map of its own;
            `nlinear` the past less its last value, which is added again.
        kernel: steps of `dlinear`'s moving average, odd.
        individual: a map for each column instead of a shared one.

    Raises:
        ValueError: for another form, or an even kernel.
    """

    def __init__(
        self,
        features: int,
        history: int,
        num_classes: int,
        horizon: int,
        *,
        form: str,
        kernel: int,
        individual: bool,
    ) -> None:
        if form not in ("linear", "dlinear", "nlinear"):
            raise ValueError(f"model.form={form} is unknown: choose from linear, dlinear, nlinear")
        if kernel % 2 == 0 or kernel < 1:
            raise ValueError(f"model.kernel={kernel} must be odd, so that the average has a middle: try {kernel + 1}")
        maps, quantiles = features if individual else 1, num_classes // features
        super().__init__(
            OrderedDict(
                parts=TrendSplit(form, kernel),  # (B, history, C) -> one or two of (B, C, history)
                head=Maps(history, horizon, quantiles, maps, 2 if form == "dlinear" else 1),  # (B, horizon, C · Q)
            )
        )


class TrendSplit(nn.Module):
    """The past as addends: values (B, history, C) -> `Parts`."""

    def __init__(self, form: str, kernel: int) -> None:
        super().__init__()
        self.form, self.kernel = form, kernel

    def forward(self, x: Sequences) -> Parts:
        past = x.values.transpose(1, 2)  # (B, C, history)
        if self.form == "nlinear":
            last = past[..., -1:]
            return Parts((past - last,), last)
        if self.form == "linear":
            return Parts((past,))
        around = self.kernel // 2  # the ends are repeated, so that the average keeps the length
        trend = F.avg_pool1d(F.pad(past, (around, around), mode="replicate"), self.kernel, stride=1)
        return Parts((trend, past - trend))


class Maps(nn.Module):
    """The sum of a linear map of each addend: `Parts` -> (B, horizon, C · quantiles)."""

    def __init__(self, history: int, horizon: int, quantiles: int, maps: int, parts: int) -> None:
        super().__init__()
        self.horizon, self.quantiles = horizon, quantiles
        # The mean of the past, as the authors begin: a start from which the map moves little.
        self.weight = nn.Parameter(torch.full((parts, maps, horizon * quantiles, history), 1 / history))
        self.bias = nn.Parameter(torch.zeros(parts, maps, horizon * quantiles, 1))

    def forward(self, parts: Parts) -> Tensor:
        total: Tensor | float = 0.0
        for values, weight, bias in zip(parts.values, self.weight, self.bias, strict=True):
            if len(weight) == 1:  # one product for all columns
                mapped = F.linear(values, weight[0], bias[0, :, 0])
            else:
                mapped = torch.einsum("bch,cfh->bcf", values, weight) + bias[:, :, 0]
            total = total + mapped
        if parts.level is not None:
            total = total + parts.level
        assert isinstance(total, Tensor)
        steps = total.unflatten(2, (self.horizon, self.quantiles))  # (B, C, horizon, Q)
        return steps.transpose(1, 2).flatten(2)
