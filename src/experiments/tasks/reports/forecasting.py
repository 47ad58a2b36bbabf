"""Forecasting: details for the record, pictures of the test, and answers for single inputs."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from experiments.system.outside_text import cell
from experiments.tasks.parts.forecast_errors import ForecastError
from experiments.tasks.report import Attachment, Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from experiments.tasks.forecasting import Forecasting


class ForecastingReport(Report):
    """Tells of a run of `Forecasting`."""

    task: Forecasting

    def details(self) -> dict[str, Any]:
        """Return the errors at each step ahead and of each column, of the last test."""
        metrics = {name: cast(ForecastError, metric) for name, metric in self.task.metrics_of("test").items()}
        if not metrics["mse"].by_step:
            return {}
        kept = {name: metric for name, metric in metrics.items() if name in ("mse", "mae", "coverage")}
        return {
            "per_step": {name: [round(value, 6) for value in metric.by_step] for name, metric in kept.items()},
            "per_column": {
                column: {name: round(metric.by_column[place], 6) for name, metric in kept.items()}
                for place, column in enumerate(self.task.spec.columns)
            },
        }

    def figures(self) -> dict[str, Callable[[], Figure | None]]:
        """Forecasts beside the truth, and the error by steps ahead."""
        steps = self.details().get("per_step")
        drawn: dict[str, Callable[[], Figure | None]] = {}
        if self.task.shown:
            drawn["forecast"] = lambda: self.task.draw(self.task.shown)
        if steps and len(steps["mse"]) > 1:
            drawn["error_by_step"] = lambda: _draw_errors(steps)
        return drawn

    def predict(self, inputs: Any) -> Tensor:
        """(N, horizon, C) or, with quantiles, (N, horizon, C, Q), in the units of the data."""
        spec = self.task.spec
        forecast = self.task.forecast(inputs.values)
        mean, std = (
            torch.tensor(values, dtype=torch.float64)[:, None].to(forecast.device) for values in (spec.mean, spec.std)
        )
        forecast = forecast.double() * std + mean  # in double precision, as large numbers may differ by little
        return forecast if self.task.quantiles else forecast[..., 0]

    def answers(self, inputs: Any, top: int) -> list[dict[str, Any]]:
        """Of each table the first forecasts, a CSV file with all of them, and a picture."""
        from experiments.viz.canvas import png

        spec, out = self.task.spec, []
        scaled = self.task.forecast(inputs.values)
        for past, guess, values, times in zip(inputs.values, scaled, self.predict(inputs), inputs.times, strict=True):
            picture = self.task.draw([(past, None, guess)])
            quantiles = values if self.task.quantiles else values[..., None]
            first = {name: float(quantiles[0, place, self.task.middle]) for place, name in enumerate(spec.columns)}
            out.append(
                {
                    "first": times[0],
                    "last": times[-1],
                    "steps": spec.horizon,
                    **first,
                    "forecast": Attachment(".csv", self._as_csv(times, quantiles).encode()),
                    "picture": Attachment(".png", png(picture)),
                }
            )
        return out

    def _as_csv(self, times: Sequence[str], forecast: Tensor) -> str:
        """Return a row a step: time, and each column, once for each quantile where there are any."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        names = [f"{name}_{q:g}" for name in self.task.spec.columns for q in self.task.quantiles] or list(
            self.task.spec.columns
        )
        writer.writerow(["time", *map(cell, names)])
        each = forecast[0].numel() // max(len(self.task.spec.columns), 1)
        # Six digits of what the column varies by.
        digits = [
            min(max(5 - math.floor(math.log10(std or 1)), 0), 15) for std in self.task.spec.std for _ in range(each)
        ]
        for time, values in zip(times, forecast.flatten(1).tolist(), strict=True):
            writer.writerow(
                [cell(time), *(f"{value:.{places}f}" for value, places in zip(values, digits, strict=True))]
            )
        return text.getvalue()


def _draw_errors(steps: dict[str, list[float]]) -> Figure:
    from experiments.viz.forecast import errors_by_step

    return errors_by_step(steps["mse"], steps["mae"])
