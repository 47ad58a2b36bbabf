"""Forecasting: the next values of a series from its past."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MetricCollection

from experiments.batches import Sequences
from experiments.errors import UserError
from experiments.tasks.base import Task
from experiments.tasks.parts.forecast_errors import MAE, MASE, MSE, SMAPE, Coverage
from experiments.tasks.report import Report
from experiments.tasks.reports.forecasting import ForecastingReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOSSES = {"mse": F.mse_loss, "mae": F.l1_loss, "huber": F.smooth_l1_loss}
SHOWN = 3  # windows of the test that are drawn
COLUMNS = 12  # drawn at most


class Forecasting(Task):
    """Direct or autoregressive forecasts, of values or of quantiles.

    Errors are those of scaled values, but for sMAPE. A direct model gives the whole horizon at once. With `block` it
    gives so many steps, and its forecasts are appended to the past until the horizon is full; it is trained on true
    pasts, one block ahead, and validated and tested as it is used.

    Args:
        model: reads `Sequences` (B, history, C) and gives (B, steps, C · Q): for each column its quantiles.
        spec: a `SeriesSpec`.
        optimizer: as in `Task`.
        scheduler: as in `Task`.
        loss: mse, mae or huber; with quantiles it is theirs (Koenker and Bassett, Regression quantiles, 1978).
        quantiles: None, or increasing shares such as 0.1, 0.5, 0.9; the one nearest to 0.5 counts as the forecast.
        block: steps that the model gives at once; None: the whole horizon.
        centre: `none`; `last`: the last value of each window's past is taken off and added to the forecast; `window`:
            its mean, and it is divided by its deviation (Kim et al., Reversible instance normalization, 2022).

    Raises:
        UserError: when a value is out of range.
    """

    report_class: type[Report] = ForecastingReport

    monitor = ("val/mse", "min")

    def __init__(
        self,
        model: nn.Module,
        spec: Any,
        optimizer: Any,
        scheduler: Any,
        *,
        loss: str,
        quantiles: Sequence[float] | None,
        block: int | None,
        centre: str,
    ) -> None:
        if loss not in LOSSES:
            raise UserError(f"task.loss={loss} is unknown: choose from {', '.join(LOSSES)}")
        if centre not in ("none", "last", "window"):
            raise UserError(f"task.centre={centre} is unknown: choose from none, last, window")
        self.quantiles = _quantiles(quantiles)
        self.middle = min(range(len(self.quantiles)), key=lambda n: abs(self.quantiles[n] - 0.5), default=0)
        super().__init__(model, spec, optimizer, scheduler)
        self.loss, self.centre = loss, centre
        self.block = min(block or spec.horizon, spec.horizon)
        levels = torch.tensor(self.quantiles, dtype=torch.float32)
        self.register_buffer("levels", levels, persistent=False)
        self.shown: list[tuple[Tensor, Tensor | None, Tensor]] = []

    @staticmethod
    def outputs(spec: Any, quantiles: Sequence[float] | None = None, block: int | None = None) -> dict[str, Any]:
        if block is not None and block < 1:
            raise UserError(f"task.block={block} must be 1 or more, or null: try task.block=1")
        if block is not None and block > spec.horizon:
            raise UserError(
                f"task.block={block} is more than data.horizon={spec.horizon}: set task.block={spec.horizon}, or null"
            )
        count = len(quantiles) if quantiles else 1
        return {"num_classes": len(spec.columns) * count, "horizon": min(block or spec.horizon, spec.horizon)}

    def make_metrics(self) -> MetricCollection:
        spec = self.spec
        settings = (spec.horizon, spec.mean, spec.std, spec.naive_error, self.middle)
        errors: dict[str, Any] = {
            "mse": MSE(*settings),
            "mae": MAE(*settings),
            "mase": MASE(*settings),
            "smape": SMAPE(*settings),
        }
        if self.quantiles:
            errors["coverage"] = Coverage(*settings)
        return MetricCollection(errors, compute_groups=[list(errors)])

    def step(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Past (B, history, C) and future (B, horizon, C), scaled; the prediction is (B, steps, C, Q)."""
        past, future = batch
        if self.training:
            future = future[:, : self.block]
            forecast = self._ahead(past)
        else:
            forecast = self.forecast(past)
        return self._loss(forecast, future), forecast, future

    def forecast(self, past: Tensor) -> Tensor:
        """Map (B, history, C) scaled -> (B, horizon, C, Q) scaled, by as many blocks as that takes."""
        history, horizon = past.shape[1], self.spec.horizon
        blocks = [self._ahead(past)]
        for _ in range(1, -(-horizon // self.block)):
            past = torch.cat([past, blocks[-1][..., self.middle]], dim=1)[:, -history:]
            blocks.append(self._ahead(past))
        return torch.cat(blocks, dim=1)[:, :horizon] if len(blocks) > 1 else blocks[0]

    def _ahead(self, past: Tensor) -> Tensor:
        """Return one block, (B, history, C) -> (B, block, C, Q)."""
        columns = past.shape[2]
        level: Tensor | None = None
        spread: Tensor | None = None
        if self.centre == "last":
            level = past[:, -1:]
        elif self.centre == "window":
            level = past.mean(1, keepdim=True)
            spread = past.std(1, keepdim=True, correction=0) + 1e-3  # a constant window stays finite
        if level is not None:
            past = past - level
        if spread is not None:
            past = past / spread
        lengths = torch.full((len(past),), past.shape[1], device=past.device)
        out = self.model(Sequences(past, lengths)).unflatten(2, (columns, -1))
        if spread is not None:
            out = out * spread[..., None]
        return out if level is None else out + level[..., None]

    def _loss(self, forecast: Tensor, future: Tensor) -> Tensor:
        if not self.quantiles:
            return LOSSES[self.loss](forecast[..., 0], future)
        error = future[..., None] - forecast
        levels = cast(Tensor, self.levels)
        return torch.maximum(levels * error, (levels - 1) * error).mean()

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Tensor]:
        result = super().test_step(batch, batch_idx)
        # One window of some batches, spread over the test: neighbours look alike.
        batches = self.trainer.num_test_batches
        total = int(batches[0]) if batches else 1
        if batch_idx % max(1, total // SHOWN) == 0 and len(self.shown) < SHOWN:
            self.shown.append((batch[0][0].cpu(), result["target"][0].cpu(), result["prediction"][0].cpu()))
        return result

    def on_test_start(self) -> None:
        self.shown = []

    def draw(self, windows: Sequence[tuple[Tensor, Tensor | None, Tensor]]) -> Figure:
        """Scaled pasts (history, C), truths (horizon, C) or None, and forecasts (horizon, C, Q), in the data's units."""
        from experiments.viz.forecast import forecasts

        mean, std = (torch.tensor(values) for values in (self.spec.mean, self.spec.std))
        series = [
            (
                past.float().cpu() * std + mean,
                None if truth is None else truth.float().cpu() * std + mean,
                guess.float().cpu() * std[:, None] + mean[:, None],
            )
            for past, truth, guess in windows
        ]
        return forecasts(series, self.spec.columns[:COLUMNS], self.quantiles, self.middle)


def _quantiles(given: Sequence[float] | None) -> tuple[float, ...]:
    values = tuple(given or ())
    inside = all(not isinstance(value, bool) and isinstance(value, int | float) and 0 < value < 1 for value in values)
    if (given is not None and not values) or not inside or list(values) != sorted(set(values)):
        raise UserError(
            f"task.quantiles={list(values)} must increase between 0 and 1: try task.quantiles=[0.1,0.5,0.9], or null for none"
        )
    return values
