"""`experiments predict RUN` of a LightningModule that is none of our tasks: its `predict_step` on what its data's `predict_dataloader`
gives, as Lightning's Trainer does it, with the run's own prediction writers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from experiments.commands.answer_table import as_rows, rounded
from experiments.errors import UserError, as_typed
from experiments.run.folder import read_config
from experiments.system.files import atomic_path, write_text
from experiments.system.outside_text import json_text
from experiments.system.terminal import terminal_width
from experiments.viz.tables import comma_separated, table

_SHOWN = 10  # rows of the table
_WIDEST = 64  # columns of one


def predict_loader(run: str, inputs: Sequence[str], form: str, out: Path | None) -> int:
    """Predicts, prints the first answers and writes all; where the run has prediction writers and no `--out`, these alone write.

    Args:
        run: the run's folder.
        inputs: words of the command line, of which none is taken.
        form: table, csv or json.
        out: where `predictions.pt` and `predictions.csv` go; None is RUN/predictions.

    Raises:
        UserError: for inputs, or when the data give nothing to predict.
    """
    folder = Path(run).absolute()
    config = read_config(folder)
    if inputs:
        raise UserError(
            f"{config.task['_target_']} is a LightningModule of its own, which answers what its data's predict_dataloader gives: leave "
            f"{inputs[0]} out, or use experiments.load({str(folder)!r}).task in Python"
        )
    from experiments.run.predictions import predictions_of

    batches, wrote = predictions_of(folder, returned=out is not None)
    if wrote and out is None:
        print(f"{', '.join(wrote)} wrote what is predicted")
        return 0
    import torch

    out = out or folder / "predictions"
    with atomic_path(out / "predictions.pt") as temporary:
        torch.save(batches, temporary)
    answers = rounded(_answers(batches))
    if not answers:
        print(f"what is predicted makes no table; torch.load reads it: {as_typed(out / 'predictions.pt')}")
        return 0
    head, rows, numeric = as_rows(answers)
    write_text(out / "predictions.csv", comma_separated(head, rows) + "\n")
    if form == "json":
        print(json_text(answers))
    elif form == "csv":
        print(comma_separated(head, rows))
    else:
        print(table(head, rows[:_SHOWN], right=numeric, wide=terminal_width()))
        print(f"{len(rows):,} answers in {as_typed(out)}: predictions.csv, and predictions.pt for torch.load")
    return 0


def _answers(batches: Iterable[Any]) -> list[dict[str, Any]]:
    """Return a row for each example; empty where what a batch gives has no value for each of them."""
    rows: list[dict[str, Any]] = []
    for batch in batches:
        columns: dict[str, list[Any]] = {}
        for name, values in (batch if isinstance(batch, dict) else {"prediction": batch}).items():
            column = _columns(str(name), values)
            if column is None:
                return []
            columns |= column
        if len({len(values) for values in columns.values()}) != 1:
            return []
        rows += [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return [{"example": place, **row} for place, row in enumerate(rows)]


def _columns(name: str, values: Any) -> dict[str, list[Any]] | None:
    """Return the columns that one output of a batch makes: (N,) one, (N, K) one for each of K; None for other shapes."""
    from torch import Tensor

    if isinstance(values, Tensor):
        if values.ndim == 2 and values.shape[1] <= _WIDEST:
            return {f"{name}_{place}": values[:, place].tolist() for place in range(values.shape[1])}
        return {name: values.tolist()} if values.ndim == 1 else None
    plain = isinstance(values, (list, tuple)) and all(isinstance(value, (str, int, float)) for value in values)
    return {name: list(values)} if plain else None
