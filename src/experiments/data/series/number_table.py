"""A table with a column of times and columns of numbers (CSV, Parquet, Excel), read with the line of every mistake."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.data.common.typed_tables import TYPED, typed_rows
from experiments.data.series.times import Times, calendar_form, parse
from experiments.errors import UserError, unknown

MISSING = ("", "na", "n/a", "nan", "null", "none")  # how a missing value is written, in any case


class Table(NamedTuple):
    """A series as its file has it.

    Attributes:
        path: the file.
        times: T points, increasing.
        columns: names of C columns.
        values: (T, C) float64; NaN where the file has no value.
        lines: (T,) line numbers in the file, counted from 1.
    """

    path: Path
    times: Times
    columns: tuple[str, ...]
    values: np.ndarray
    lines: np.ndarray


def read_table(
    path: Path,
    time: str | None,
    columns: Sequence[str] | None,
    time_format: str | None,
    decimal: str = ".",
    missing_as: Sequence[str] = (),
) -> Table:
    """Reads a CSV file, whose delimiter is the comma, semicolon, tab or bar that its first line has most of; or a Parquet or Excel file.

    Columns without a name and without a value, as semicolons at the ends of lines make them, are none.

    Args:
        path: the file, CSV in UTF-8 with a line of names unless it ends with .parquet or .xlsx.
        time: the column of times; None: the first of dates in a file whose cells have types, else the first.
        columns: those to read; None: every other one.
        time_format: see `times.parse`.
        decimal: what stands before a number's fraction, a point or a comma.
        missing_as: further marks of a missing value, such as "?".

    Raises:
        UserError: with file and line, for what is missing, is no number, or goes back in time.
    """
    typed = path.suffix.lower() in TYPED
    names, rows, lines, first = _typed(path, decimal) if typed else (*_rows(path), None)
    unnamed = [place for place, name in enumerate(names) if not name]
    for place in unnamed:
        full = next((number for row, number in zip(rows, lines, strict=True) if row[place].strip()), None)
        if full is not None:
            raise UserError(
                f"{path}, line {full}: column {place + 1} has values and no name: name it in the first line"
            )
    if unnamed:
        kept = [place for place in range(len(names)) if place not in unnamed]
        names, rows = [names[place] for place in kept], [[row[place] for place in kept] for row in rows]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{path}, line 1: two columns are called {name}: give each a name of its own")
    time = (first or names[0]) if time is None else time
    wanted = [name for name in names if name != time] if columns is None else list(columns)
    for key, name in (("data.time", time), *(("data.columns", name) for name in wanted)):
        if name not in names:
            raise UserError(unknown(f"{key}={name}", f"no column of {path}", name, names))
    if not wanted or time in wanted:
        raise UserError(f"{path} has no column of numbers beside {time}: name some with data.columns")
    if not rows:
        raise UserError(f"{path} has names of columns and no row: give it rows of values")
    place = names.index(time)
    cells = [row[place] for row in rows]
    try:
        times = parse(cells, time_format)
    except ValueError as error:
        bad = int(error.args[0])
        rule = f"written as {time_format}" if time_format else "ISO 8601, such as 2016-07-01 00:00, or a number"
        raise UserError(
            f"{path}, line {lines[bad]}: {time}={cells[bad]!r} is no time {rule}: mend it, or set data.time_format"
        ) from None
    if times.form == "number" and len(cells) > 1 and (written := calendar_form(cells)):
        raise UserError(
            f"{path}, line {lines[0]}: {time}={cells[0]} is a time written as one number, and numbers would count on behind the last "
            f"of a month, day or hour: set data.time_format={written}"
        )
    back = np.flatnonzero(np.diff(times.values) <= 0)
    if len(back):
        late = int(back[0]) + 1
        if cells[late - 1] < cells[late] and times.values[late - 1] == times.values[late]:
            raise UserError(
                f"{path}, line {lines[late]}: {time}={cells[late]} is too close to {cells[late - 1]}, as times are read to the microsecond"
                " and numbers to 15 digits: write the times as numbers that count from the first row"
            )
        raise UserError(
            f"{path}, line {lines[late]}: {time}={cells[late]} does not come after {cells[late - 1]}: sort the rows and"
            " keep one a time"
        )
    values = np.empty((len(rows), len(wanted)))
    for column, name in enumerate(wanted):
        values[:, column] = _numbers(path, name, [row[names.index(name)] for row in rows], lines, decimal, missing_as)
    return Table(path, times, tuple(wanted), values, np.array(lines))


def _typed(path: Path, decimal: str) -> tuple[list[str], list[list[str]], list[int], str | None]:
    """Names, rows as texts and their numbers, of a file whose cells have types, and the first column of dates: pandas writes an
    index as the last column.
    """
    rows_read = list(typed_rows(path))
    if not rows_read:
        raise UserError(f"{path} has no row: give it rows of values")
    names = list(rows_read[0][1])
    rows = [
        ["" if (cell := record.get(name)) is None else _text(cell, decimal) for name in names]
        for _, record in rows_read
    ]
    dates = next((name for name in names if isinstance(rows_read[0][1].get(name), date)), None)
    return names, rows, [number for number, _ in rows_read], dates


def _text(cell: Any, decimal: str) -> str:
    """Return a cell as CSV would have it; texts stay, as some tables hold their numbers as texts."""
    if isinstance(cell, (str, date)):
        return cell if isinstance(cell, str) else str(cell.isoformat())
    return str(cell).replace(".", decimal)


def _rows(path: Path) -> tuple[list[str], list[list[str]], list[int]]:
    """Names, rows and their line numbers; empty lines are none."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            head = file.readline()
            if "\0" in head:
                raise UserError(f"{path} holds zero bytes, and so no text: save it as CSV in UTF-8")
            delimiter = max(",;\t|", key=head.count)
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter)
            names = [name.strip() for name in next(reader, [])]
            rows, lines = [], []
            for row in reader:
                if not row or not any(cell.strip() for cell in row):
                    continue
                if len(row) != len(names):
                    raise UserError(
                        f"{path}, line {reader.line_num}: {len(row)} cells, where the first line names {len(names)}"
                        " columns: mend the line"
                    )
                rows.append(row)
                lines.append(reader.line_num)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: name a CSV file") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as CSV in UTF-8 ({error}): save it as that") from error
    if names and _is_date(names[0]):
        raise UserError(
            f"{path}, line 1: it names columns {', '.join(names)[:60]}: give the table a first line of column names"
        )
    if not any(names):
        raise UserError(f"{path} is empty: give it a line of column names and rows of values")
    return names, rows, lines


def _is_date(name: str) -> bool:
    """Tell whether what stands in place of a column's name is a time, as where the line of names is missing."""
    try:
        datetime.fromisoformat(name)
    except ValueError:
        return False
    return not name.isdigit()


def _numbers(
    path: Path, name: str, cells: Sequence[str], lines: Sequence[int], decimal: str, missing_as: Sequence[str]
) -> np.ndarray:
    absent = {*MISSING, *(mark.casefold() for mark in missing_as)}
    out = np.empty(len(cells))
    for place, cell in enumerate(cells):
        text = cell.strip()
        if text.casefold() in absent:
            out[place] = math.nan
            continue
        out[place] = _number(text, decimal)
        if not math.isfinite(out[place]):
            raise UserError(f"{path}, line {lines[place]}: {name}={text!r} is no number: {_cure(text, decimal)}")
    return out


def _number(text: str, decimal: str) -> float:
    """Return a number; NaN where the text is none."""
    if (
        decimal != "." and "." in text
    ) or "_" in text:  # a group of thousands, the other kind of point, or Python's own mark
        return math.nan
    try:
        return float(text.replace(decimal, "."))
    except ValueError:
        return math.nan


def _cure(text: str, decimal: str) -> str:
    if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+|[+-]?\d{1,3}(\.\d{3}){2,}", text):
        return f"write {re.sub('[,.]', '', text)} if it stands for thousands, or set data.decimal=',' if the comma is a decimal one"
    plain = re.sub(rf"(?<=\d)[ '\u00a0\u2009\u202f{'.' if decimal == ',' else ','}](?=\d{{3}}(?!\d))", "", text)
    if plain != text and math.isfinite(_number(plain, decimal)):
        return f"write {plain}, without marks between thousands"
    other = "," if decimal == "." else "."
    if math.isfinite(_number(text, other)):
        return f"set data.decimal='{other}'"
    mark = (
        f"set data.missing_as='{text}' if it stands for a missing value, " if len(text) <= 8 and "'" not in text else ""
    )
    return f"{mark}mend it, leave it empty for a missing value, or leave the column out of data.columns"
