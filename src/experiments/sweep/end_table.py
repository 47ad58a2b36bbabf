"""What a sweep says at its end: its cells by the metric of validation, the best one, and what to type next."""

from __future__ import annotations

import contextlib
import math
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.compare.analysis import Field, analyse
from experiments.compare.cells import COSTS, Cell, gather
from experiments.compare.run_records import RecordedRun
from experiments.compare.wording import number, short, width
from experiments.errors import UserError, as_typed
from experiments.run.record import can_answer, read_record
from experiments.system.terminal import fancy, labelled, quiet, show_table, terminal_width
from experiments.viz.tables import narrowest, table, without

_ROWS = 12  # of the table; compare has all
_COSTS = ("parameters", "seconds")


def tell(folder: Path, failed: int) -> None:
    """Prints the table of a sweep's cells and the commands that follow; the folder alone where little is wanted."""
    if quiet():
        print(as_typed(folder))
        return
    fields: list[tuple[Field, list[str]]] = []
    finished: list[RecordedRun] = []
    with contextlib.suppress(UserError, OSError):  # nothing finished, or the folder is gone
        cells, _ = gather([folder])
        finished = [run for cell in cells for run in cell.finished]
        fields = _fields(cells)
    for field, columns in fields:
        _show(field, columns)
    typed = shlex.quote(as_typed(folder))
    rows = []
    for field, _ in fields:
        best = field.scored[0]
        name = f" ({field.name})" if len(fields) > 1 else ""
        rows.append(("best" + name, f"{field.label(best)}: {field.metric} {number(best.mean(field.metric))}"))
    if finished and not fields:
        rows.append(("best", "none is called so, as no run has a metric of validation"))
    if diverged := sum(run.diverged for run in finished):
        rows.append(("diverged", f"{diverged} run{'s' * (diverged > 1)}, whose loss is no finite number"))
    if failed:
        rows.append(("failed", f"{failed} run{'s' * (failed > 1)}, named below; resume={typed} repeats them"))
    if finished:
        best_run = _best_run(fields[0][0]) if fields else finished[0].folder
        run = shlex.quote(as_typed(best_run))
        rows.append(("compare", f"experiments compare {typed} --html report.html"))
        if can_answer(best_run, read_record(best_run)):
            rows.append(("predict", f"experiments predict {run} INPUT…"))
            rows.append(("look inside", f"experiments show {run}"))
        if next(folder.rglob("events.out.tfevents.*"), None):  # not with logger=none
            rows.append(("TensorBoard", f"experiments board {typed}"))
    labelled(rows, sys.stdout)


def judged(record: dict[str, Any]) -> tuple[str, bool] | None:
    """Return the metric of validation that a record was judged by and whether less is better; None where it says none."""
    judgement = record.get("judged") or {}
    name = judgement.get("metric")
    return (str(name), judgement.get("mode") == "min") if name in (record.get("metrics") or {}) else None


def _fields(cells: Sequence[Cell]) -> list[tuple[Field, list[str]]]:
    """Cells that can be compared, each by the metric its runs were judged by, with the choices that tell them apart."""
    groups: dict[tuple[str, bool], list[Cell]] = {}
    for cell in cells:
        metrics = [name for run in cell.finished if (name := judged(read_record(run.folder)))]
        if metrics:
            groups.setdefault(metrics[0], []).append(cell)
    fields = []
    for (metric, lower), members in groups.items():
        comparison = analyse(members, metric=metric, lower=lower)
        fields += [(field, comparison.columns) for field in comparison.fields if field.scored]
    return fields


def _best_run(field: Field) -> Path:
    """Return the run of the best cell that did best."""
    sign = 1 if field.lower else -1
    runs = [run for run in field.scored[0].finished if field.metric in run.metrics]
    return min(runs, key=lambda run: sign * run.metrics[field.metric]).folder


def _show(field: Field, columns: Sequence[str]) -> None:
    head = ["", *columns, field.metric, "95 %", "seeds", *(COSTS[key][0] for key in _COSTS)]
    rows = []
    for place, cell in enumerate(field.scored[:_ROWS], 1):
        low, high = field.interval(cell)
        mean = cell.mean(field.metric)
        row = [str(place), *(cell.level(key) for key in columns), number(mean), width(low, high, mean)]
        costs = [cell.cost(key) for key in _COSTS]
        rows.append([*row, str(len(cell.values(field.metric))), *("" if math.isnan(c) else short(c) for c in costs)])
    right = [0, *range(1 + len(columns), len(head))]
    wide = terminal_width()
    head, rows, right, _ = without(head, rows, right, wide, [COSTS[key][0] for key in reversed(_COSTS)])
    if fancy(sys.stdout) and wide is not None and narrowest(head, rows, right) <= wide:
        show_table(head, rows, right, sys.stdout, bold=(0,))
    else:
        print(table(head, rows, right, wide=wide))
    if len(field.scored) > _ROWS:
        print(f"… and {len(field.scored) - _ROWS:,} more cells")
