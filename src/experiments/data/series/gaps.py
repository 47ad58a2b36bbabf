"""What a series lacks: missing rows and missing values, refused, filled, or left out of the windows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from experiments.data.series.number_table import Table
from experiments.errors import UserError


def regular(table: Table, missing: str, even: bool) -> tuple[Table, np.ndarray]:
    """Return the table and the step (T,) of each row; with rows for missing steps where they are to be filled.

    Raises:
        UserError: rows are unevenly spaced, or missing where that is an error.
    """
    if not even:
        return table, np.arange(len(table.times))
    exact = table.times.places
    steps = np.rint(exact).astype(np.int64)
    off = np.flatnonzero((np.abs(exact - steps) > 0.1) | (np.diff(steps, prepend=-1) < 1))
    if len(off):
        row = int(off[0])
        raise UserError(
            f"{table.path}, line {table.lines[row]}: {table.times.text(row)} is no whole number of steps after the"
            " first row: give evenly spaced rows, or set data.even=false to count rows whatever their times"
        )
    gaps = np.flatnonzero(np.diff(steps) > 1)
    if not len(gaps):
        return table, steps
    row, count = int(gaps[0]) + 1, int(steps[-1]) + 1 - len(steps)
    if missing == "error":
        raise UserError(
            f"{table.path}, line {table.lines[row]}: {steps[row] - steps[row - 1] - 1} rows are missing before"
            f" {table.times.text(row)}, {count} in all: add them, set data.missing=fill or drop, or data.even=false"
            " to count rows whatever their times"
        )
    if missing == "drop":
        return table, steps
    if count > len(steps):
        row = int(np.diff(steps).argmax()) + 1
        raise UserError(
            f"{table.path}, line {table.lines[row]}: {count} rows are missing in all, more than the {len(steps)} that are"
            f" there: look for a wrong time near {table.times.text(row)}, or set data.missing=drop"
        )
    values = np.full((steps[-1] + 1, table.values.shape[1]), np.nan)
    values[steps] = table.values
    lines = np.interp(np.arange(len(values)), steps, table.lines).astype(np.int64)
    seconds = np.interp(np.arange(len(values)), steps, table.times.values)
    before = np.searchsorted(steps, np.arange(len(values)), side="right") - 1
    offsets = table.times.offsets
    times = replace(table.times, values=seconds, offsets=None if offsets is None else offsets[before])
    return table._replace(times=times, values=values, lines=lines), np.arange(len(values))


def filled(table: Table, missing: str) -> tuple[Table, int]:
    """Return the table without what is missing, as far as `missing` says so, and the number of values filled in.

    Raises:
        UserError: a value is missing where that is an error, or there is none before it to repeat.
    """
    absent = np.isnan(table.values)
    if not absent.any() or missing == "drop":
        return table, 0
    row, column = (int(axis[0]) for axis in np.nonzero(absent))
    where = f"{table.path}, line {table.lines[row]}: {table.columns[column]} is missing"
    if missing == "error":
        raise UserError(
            f"{where}, one of {int(absent.sum())} such values: mend them, or set data.missing=fill (repeats the last"
            " value) or data.missing=drop (leaves out the windows that touch one)"
        )
    if absent[0].any():
        raise UserError(f"{where}, and there is no value before it to repeat: mend it, or set data.missing=drop")
    last = np.maximum.accumulate(np.where(absent, 0, np.arange(len(absent))[:, None]), axis=0)
    return table._replace(values=np.take_along_axis(table.values, last, axis=0)), int(absent.sum())


def usable(values: np.ndarray, steps: np.ndarray, length: int) -> np.ndarray:
    """(T - length + 1,) bool: which windows have all their values and no gap."""
    broken = np.isnan(values).any(axis=1)
    before = np.concatenate([[0], np.cumsum(broken)])
    whole_windows = before[length:] == before[: len(before) - length]
    return whole_windows & (steps[length - 1 :] - steps[: len(steps) - length + 1] == length - 1)
