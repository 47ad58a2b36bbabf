"""The curves of a claim: a quantity over the values of a key, or a list that every run wrote, such as a gradient by layer."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.claims.claim import Claim, CurvePlan
from experiments.compare.analysis import same_level
from experiments.compare.cells import Cell
from experiments.compare.learning_curves import read_history
from experiments.errors import UserError
from experiments.system.bounded_files import read_json


@dataclass
class CurveLine:
    """One line: at each place the mean over the seeds, geometric where the scale is logarithmic, the least and the largest."""

    label: str
    x: list[float]
    y: list[float]
    low: list[float]
    high: list[float]


@dataclass
class ClaimCurve:
    """Lines with their axes."""

    title: str
    x: str
    y: str
    log: bool
    lines: list[CurveLine]


def cells_with(where: dict[str, str], cells: Sequence[Cell]) -> list[Cell]:
    """Return the cells that have some choices."""
    return [cell for cell in cells if all(same_level(cell.level(key), value) for key, value in where.items())]


def read_curve(entry: dict[str, Any] | None) -> ClaimCurve | None:
    """Return a curve from what a verdict's file holds of it."""
    if entry is None:
        return None
    lines = []
    for line in entry.pop("lines"):
        numbers = {
            key: [math.nan if number is None else number for number in line[key]] for key in ("x", "y", "low", "high")
        }
        lines.append(CurveLine(label=line["label"], **numbers))
    return ClaimCurve(lines=lines, **entry)


def curve_of(claim: Claim, cells: Sequence[Cell]) -> ClaimCurve:
    """Return the lines that a claim asks for.

    Raises:
        UserError: where no run has what a line names.
    """
    plan = claim.curve
    assert plan is not None
    lines = []
    for label, where in plan.lines.items():
        fitting = cells_with(where, cells)
        points = _over_key(plan, fitting) if plan.key else _of_files(plan, fitting)
        if not points:
            what = plan.quantity or plan.file
            raise UserError(f"claim {claim.name}: no run of the curve’s line “{label}” has {what}: correct its file")
        values = [points[place] for place in sorted(points)]
        lines.append(
            CurveLine(
                label,
                sorted(points),
                [_mean(column, plan.log) for column in values],
                [min(column) for column in values],
                [max(column) for column in values],
            )
        )
    return ClaimCurve(plan.title, plan.x, plan.y, plan.log, lines)


def _over_key(plan: CurvePlan, cells: Sequence[Cell]) -> dict[float, list[float]]:
    """Return, at each value of the key, what the seeds measured."""
    points: dict[float, list[float]] = {}
    for cell in cells:
        if values := list(cell.values(plan.quantity).values()):
            points.setdefault(float(json.loads(cell.level(plan.key))), []).extend(values)
    return points


def _of_files(plan: CurvePlan, cells: Sequence[Cell]) -> dict[float, list[float]]:
    """Return, at each place of the lists, what the runs wrote there."""
    points: dict[float, list[float]] = {}
    for run in (run for cell in cells for run in cell.finished):
        values = _series(run.folder / plan.file, plan.series)
        for place, value in enumerate(values):
            at = len(values) - 1 - place if plan.from_end else place + plan.start
            points.setdefault(float(at), []).append(value)
    return points


def _series(path: Path, names: Sequence[str]) -> list[float]:
    """Return a list from a run's file: of a metrics.csv a column, epoch by epoch; empty where it is not there."""
    if path.suffix == ".csv":
        return [value for _, (_, value) in sorted(read_history(path).get(names[0], {}).items())]
    try:
        series = read_json(path)
        for name in names:
            series = series[name]
        return [float(value) for value in series]
    except (OSError, ValueError, TypeError, KeyError):
        return []


def _mean(values: Sequence[float], log: bool) -> float:
    if log:
        return math.exp(math.fsum(math.log(max(value, 1e-38)) for value in values) / len(values))
    return math.fsum(values) / len(values)
