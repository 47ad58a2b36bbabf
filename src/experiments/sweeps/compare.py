"""Comparison of runs: reads their records and nothing else, and needs neither torch nor Hydra."""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.errors import UserError
from experiments.record import CHOICES, FINISHED, read_record
from experiments.runs import find_runs
from experiments.tables import comma_separated, markdown, table

# Two-sided 95 % quantiles of Student's t for 1, 2, … degrees of freedom; beyond the table the normal one is within 2 %.
_T95 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
_METRICS = ("test/accuracy", "test/f1", "test/mse", "test/loss")  # the first that a run has is compared by default


def interval(values: Sequence[float]) -> float:
    """Half the width of the 95 % confidence interval of a mean (Student's t); NaN for a single value."""
    if len(values) < 2:
        return math.nan
    quantile = _T95[len(values) - 2] if len(values) - 2 < len(_T95) else 1.96
    return quantile * statistics.stdev(values) / math.sqrt(len(values))


class Cell:
    """Runs that differ in nothing but the seed."""

    def __init__(self, choices: dict[str, Any], overrides: dict[str, str]) -> None:
        self.choices, self.overrides = choices, overrides
        self.records: list[dict[str, Any]] = []

    def values(self, metric: str) -> list[float]:
        found = (record["metrics"].get(metric) for record in self.records if record["status"] == FINISHED)
        return [value for value in found if value is not None]

    def mean(self, metric: str) -> float:
        values = self.values(metric)
        return statistics.fmean(values) if values else math.nan

    def cost(self, key: str) -> float:
        found = (record["cost"].get(key) for record in self.records if record["status"] == FINISHED)
        values = [value for value in found if value is not None]
        return statistics.fmean(values) if values else math.nan

    @property
    def marks(self) -> str:
        """What is not as it should be: runs that did not finish."""
        others: dict[str, int] = {}
        for record in self.records:
            if record["status"] != FINISHED:
                others[record["status"]] = others.get(record["status"], 0) + 1
        return ", ".join(f"{count} {status}" for status, count in others.items())


def gather(paths: Sequence[Path]) -> list[Cell]:
    """The cells of all runs below some paths, in the order found.

    Raises:
        UserError: when a path does not exist or a record is damaged.
    """
    cells: dict[str, Cell] = {}
    for folder in dict.fromkeys(find_runs(paths)):
        record = read_record(folder)
        choices = {key: record["choices"].get(key) for key in (*CHOICES, "weights")}
        overrides = dict(
            word.lstrip("+").split("=", 1)
            for word in record.get("overrides", [])
            if "=" in word and "." in word.split("=")[0] and not word.startswith(("hydra.", "launcher.", "data.root"))
        )
        key = json.dumps([choices, overrides], sort_keys=True)
        cells.setdefault(key, Cell(choices, overrides)).records.append(record)
    return list(cells.values())


def compare(paths: Sequence[Path], metric: str | None = None, by: Sequence[str] = ()) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the comparison: a row a cell, best first.

    Args:
        paths: runs, or folders above them.
        metric: what to compare by; None takes the first of the usual ones that the runs have.
        by: choices to show as columns; none: those that differ.

    Raises:
        UserError: when there is no run, or no run has the metric.
    """
    cells = gather(paths)
    if not cells:
        raise UserError(f"{' '.join(map(str, paths))} holds no run: train one first")
    known = {name for cell in cells for record in cell.records for name in record["metrics"]}
    metric = metric or next((name for name in _METRICS if name in known), "test/loss")
    if known and metric not in known:
        raise UserError(f"--metric {metric} is in no record: choose from {', '.join(sorted(known))}")
    columns = [key for key in (*CHOICES, "weights") if len({str(cell.choices[key]) for cell in cells}) > 1]
    dotted = sorted({key for cell in cells for key in cell.overrides})
    columns += [key for key in dotted if len({cell.overrides.get(key) for cell in cells}) > 1]
    columns = list(by) or columns or ["model"]
    sign = 1 if metric.endswith(("loss", "mse", "mae", "wer", "cer", "perplexity")) else -1
    cells.sort(key=lambda cell: (math.isnan(cell.mean(metric)), sign * cell.mean(metric)))
    head = [*columns, metric, "±95 %", "n", "parameters", "seconds", "examples/s", "MB", "remarks"]
    rows = []
    for cell in cells:
        values = cell.values(metric)
        shown = [str(cell.choices.get(key, cell.overrides.get(key, "default"))) for key in columns]
        rows.append(
            [
                *shown,
                _number(cell.mean(metric), ".4f"),
                _number(interval(values), ".4f"),
                str(len(values)),
                _number(cell.cost("parameters"), ",.0f"),
                _number(cell.cost("seconds"), ".1f"),
                _number(cell.cost("examples_per_second"), ",.0f"),
                _number(cell.cost("peak_memory_mb"), ",.0f"),
                cell.marks,
            ]
        )
    return head, rows


def _number(value: float, form: str) -> str:
    return "–" if math.isnan(value) else format(value, form)


def main(words: list[str]) -> int:
    """`experiments compare`."""
    parser = argparse.ArgumentParser("experiments compare", description="A table of runs: a row for runs that differ in the seed alone.")
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a run, a sweep, or a folder above them")
    parser.add_argument("--metric", help="what to compare by, such as test/f1 (default: test/accuracy where there is one)")
    parser.add_argument("--by", default="", help="choices to show, comma-separated (default: those that differ)")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    parser.add_argument("--csv", action="store_true", help="print CSV")
    options = parser.parse_args(words)
    head, rows = compare(options.paths, options.metric, [key for key in options.by.split(",") if key])
    right = range(len(head) - 8, len(head) - 1)
    if options.csv:
        print(comma_separated(head, rows))
    else:
        print((markdown if options.markdown else table)(head, rows, tuple(right)))
    return 0
