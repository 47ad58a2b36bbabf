"""Panels of a forecaster: what it expects, and how far ahead that is worth something."""

from __future__ import annotations

from collections.abc import Iterator

from experiments.commands.show.panel import Look, NotShown, Panel, Picture

WINDOWS = 3  # of the test split


def forecast(look: Look) -> Iterator[Picture]:
    """Past, forecast and truth of some windows of the test split; of files, what follows them."""
    import torch

    task = look.run.task
    if look.wanted.inputs:
        given = look.run.prepare(list(look.wanted.inputs))
        windows, caption = [(past, None) for past in given.values], "What follows the files."
    else:
        windows = list(zip(*look.run.data.sample("test", WINDOWS), strict=True))
        caption = "Windows from the beginning, the middle and the end of the test split."
    with torch.inference_mode():
        drawn = task.draw([(past, truth, task.forecast(past[None])[0]) for past, truth in windows])
    if task.quantiles:
        caption += f" The fan reaches from the {task.quantiles[0]:g} to the {task.quantiles[-1]:g} quantile."
    yield Picture("forecast", "Forecasts", caption, drawn)


def error_by_step(look: Look) -> Iterator[Picture]:
    """Yield the test's errors by steps ahead, as the record has them."""
    from experiments.viz.forecast import errors_by_step

    squared, absolute = (look.recorded("per_step", key) for key in ("mse", "mae"))
    if squared is None or absolute is None or len(squared) < 2:
        raise NotShown("the run has not been tested, or forecasts one step alone")
    caption = "Errors of scaled values over the whole test split; a flat line means that near and far are equally hard."
    yield Picture("error_by_step", "Error by steps ahead", caption, errors_by_step(squared.tolist(), absolute.tolist()))


PANELS = (Panel("forecast", "Forecasts", forecast), Panel("error_by_step", "Error by steps ahead", error_by_step))
