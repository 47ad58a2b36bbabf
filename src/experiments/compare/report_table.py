"""The table of a report that one can work in: search, sort, choose columns, open a cell's runs. One script, no network.

The rows lie in the page as data; the script (report_script) draws those that are in sight, so that thousands stay quick. Without a script the
page has its plain table.
"""

from __future__ import annotations

import json
import math
import os
import shlex
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from experiments.compare.analysis import Comparison, Field
from experiments.compare.cells import COSTS, Cell
from experiments.compare.learning_curves import curves_of_interest, read_history
from experiments.compare.run_records import RecordedRun
from experiments.compare.wording import cost_heads, number, short, width
from experiments.config.metric_names import usual_name

_CURVES, _POINTS = 600, 40  # runs whose curves lie in the page, and points of one
_LINKS = 8  # pictures of one run


def work_table(
    field: Field, comparison: Comparison, paths: Sequence[Path], plain: str, target: Path | None = None
) -> str:
    """Return the table of a field's cells as data for the script, around the plain one.

    Args:
        field: whose cells.
        comparison: that it is of.
        paths: that were compared: folders are told from there.
        plain: HTML of the plain table.
        target: the file that the page becomes; runs below its folder are linked to.
    """
    costs = cost_heads(comparison.cells)
    names = ["rank", *comparison.columns, field.metric, "95 %", "seeds", *(COSTS[key][0] for key in costs), "remarks"]
    words = (1, 1 + len(comparison.columns))
    columns = [
        {"name": name, "right": not words[0] <= at < words[1] and name != "remarks"} for at, name in enumerate(names)
    ]
    rows, told = [], 0
    curves = curves_of_interest(field.metric)
    for place, cell in enumerate(field.cells, 1):
        told += len(cell.all_runs)
        drawn = curves if told <= _CURVES else []
        rows.append(_row(field, comparison, cell, place, costs, paths, drawn, target))
    content = json.dumps(
        {"of": field.name, "columns": columns, "metric": field.metric, "curves": curves, "rows": rows},
        separators=(",", ":"),
    )
    return f'<div class="work"><template>{escape(content)}</template><div class="plain">{plain}</div></div>'


def _row(
    field: Field,
    comparison: Comparison,
    cell: Cell,
    place: int,
    costs: Sequence[str],
    paths: Sequence[Path],
    curves: Sequence[str],
    target: Path | None,
) -> dict[str, Any]:
    low, high = field.interval(cell)
    mean, seeds = cell.mean(field.metric), len(cell.values(field.metric))
    levels = [cell.level(key) for key in comparison.columns]
    prices = [cell.cost(key) for key in costs]
    remarks = cell.remarks(field.metric, field.seeds)
    text = [str(place), *levels, number(mean), width(low, high, mean), str(seeds), *map(short, prices), remarks]
    half = None if math.isnan(low) else high - low
    value = [place, *map(_sortable, levels), _known(mean), half, seeds, *map(_known, prices), remarks]
    best = field.clear and cell is field.scored[0]
    others = [f"{key}={cell.level(key)}" for key in comparison.columns]
    runs = [_run(run, field.metric, paths, curves, target) for run in cell.all_runs]
    return {"text": text, "value": value, "best": best, "name": field.label(cell), "differs": "What sets it apart: " + ", ".join(others), "runs": runs}  # fmt: skip


_LONGER = ("trainer.max_epochs", "trainer.max_steps")  # which a resumed run may have changed since
_IN_PYTHON = "experiments.train(…) in Python, with the objects that it was given"


def _run(
    run: RecordedRun, metric: str, paths: Sequence[Path], curves: Sequence[str], target: Path | None
) -> dict[str, Any]:
    """Return what is told of a run, the command that repeats it, its curves and links; no folder of the machine it was
    made on.
    """
    value = number(run.metrics[metric]) if metric in run.metrics else ""
    return {
        "told": [run.seed, run.status, value, from_here(run.folder, paths)],
        "command": _command(run),
        "curves": _curves(run.folder, curves),
        "links": _links(run.folder, target),
    }


def _command(run: RecordedRun) -> str:
    """Return what to type for the same run again, as it is now."""
    settings = run.settings or {}
    if any(f"{group}.object" in settings for group in ("model", "data", "task")):
        return _IN_PYTHON
    words = [f"{key}={settings.get(key, value) if key in _LONGER else value}" for key, value in run.typed.items()]
    if run.root:
        words.append(f"data.root={'FOLDER' if Path(run.root).is_absolute() else run.root}")
    for group in ("model", "data", "task", "freezing", "precision", "optimizer", "scheduler"):
        by_class = f"{group}._target_" in run.typed or (run.foreign and group == "model")
        if run.choices.get(group) is not None and group not in run.typed and not by_class:
            words.append(f"{group}={run.choices[group]}")
    return shlex.join(["experiments", "train", *words, f"seed={run.seed}"])


def _curves(folder: Path, names: Sequence[str]) -> list[list[list[float]]]:
    """Return the points (epoch, value) of each quantity, thinned out; epochs count from 1."""
    history = {usual_name(n): h for n, h in read_history(folder / "metrics.csv").items()} if names else {}
    sampled = []
    for name in names:
        points = [[epoch + 1, float(f"{value:.5g}")] for epoch, (_, value) in sorted(history.get(name, {}).items())]
        step = max(1, -(-len(points) // _POINTS))
        sampled.append(points[::step] + (points[-1:] if points and (len(points) - 1) % step else []))
    return sampled


def _links(folder: Path, target: Path | None) -> list[list[str]]:
    """Name and place of what can be looked at, told from the page: nothing where the run does not lie below it."""
    if target is None or not (here := folder.resolve()).is_relative_to(top := target.resolve().parent):
        return []
    linked = [("inside", here / "show" / "index.html"), ("config", here / "config.yaml")]
    linked += [(path.stem, path) for path in sorted((here / "figures").glob("*.png"))[:_LINKS]]
    return [[name, quote(path.relative_to(top).as_posix())] for name, path in linked if path.is_file()]


def from_here(folder: Path, paths: Sequence[Path]) -> str:
    """Return a folder as told from the one that was compared: `sweep/0_model=mlp`."""
    for path in paths:
        inner = os.path.relpath(folder, path)
        if not inner.startswith(".."):
            return path.name if inner == "." else f"{path.name or '.'}/{inner}"
    return folder.name


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _sortable(text: str) -> float | str:
    try:
        value = float(text)
    except ValueError:
        return text
    return value if math.isfinite(value) else text
