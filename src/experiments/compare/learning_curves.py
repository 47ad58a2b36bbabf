"""Learning curves over seeds, from each run's `metrics.csv`."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from experiments.compare.cells import Cell
from experiments.config.metric_names import split_and_quantity
from experiments.system.bounded_files import open_plain


@dataclass
class Point:
    """One epoch over the seeds: mean, and the lowest and highest seed."""

    epoch: int
    step: int
    mean: float
    low: float
    high: float
    n: int


def read_history(path: Path) -> dict[str, dict[int, tuple[int, float]]]:
    """Quantity to epoch to (step, value); empty where the file is missing, and without lines that are damaged."""
    by_metric: dict[str, dict[int, tuple[int, float]]] = {}
    try:
        with io.TextIOWrapper(open_plain(path), newline="", encoding="utf-8", errors="replace") as file:
            for row in csv.DictReader(file):
                try:
                    epoch, step = int(row.pop("epoch")), int(row.pop("step"))
                except (KeyError, TypeError, ValueError):
                    continue
                for name, text in row.items():
                    try:
                        value = float(text)
                    except (TypeError, ValueError):
                        continue
                    if isinstance(name, str) and math.isfinite(value):
                        by_metric.setdefault(name, {})[epoch] = (step, value)
    except (OSError, csv.Error):
        return {}
    return by_metric


def curves(cell: Cell) -> dict[str, list[Point]]:
    """Quantity to its points over the epochs, of the finished runs of a cell.

    An epoch counts only where every run that has the quantity has it: where some stopped earlier, a mean over those
    that went on would be a mean of other runs.
    """
    histories = [read_history(run.folder / "metrics.csv") for run in cell.finished]
    by_metric: dict[str, list[Point]] = {}
    for name in dict.fromkeys(name for history in histories for name in history):
        each = [history[name] for history in histories if name in history]
        points = []
        for epoch in sorted(set.intersection(*(set(curve) for curve in each))):
            values = [curve[epoch][1] for curve in each]
            step = round(fmean(curve[epoch][0] for curve in each))
            points.append(Point(epoch, step, fmean(values), min(values), max(values), len(values)))
        if points:
            by_metric[name] = points
    return by_metric


def curves_of_interest(metric: str) -> list[str]:
    """Return what to draw over the epochs for a final metric, by usual names: its validation twin and the losses."""
    twin = f"val/{split_and_quantity(metric)[1]}"
    return list(dict.fromkeys([twin, "val/loss", "train/loss"]))
