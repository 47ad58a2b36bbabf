"""Missing rows and values, by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from experiments.data.series.gaps import filled, regular, usable
from experiments.data.series.number_table import Table
from experiments.data.series.times import Times
from experiments.errors import UserError

NAN = float("nan")


def table(times: list[float], values: list[float]) -> Table:
    lines = np.arange(2, 2 + len(times))
    return Table(Path("a.csv"), Times(np.array(times), "number"), ("x",), np.array(values)[:, None], lines)


def test_missing_rows_are_refused_left_out_or_filled() -> None:
    series = table([0, 10, 20, 50, 60], [1, 2, 3, 4, 5])
    with pytest.raises(UserError, match=r"a\.csv, line 5: 2 rows are missing before 50, 2 in all"):
        regular(series, "error", True)
    same, steps = regular(series, "drop", True)
    assert same is series and steps.tolist() == [0, 1, 2, 5, 6]
    whole, steps = regular(series, "fill", True)
    assert steps.tolist() == list(range(7)) and whole.times.values.tolist() == [0, 10, 20, 30, 40, 50, 60]
    np.testing.assert_array_equal(whole.values[:, 0], [1, 2, 3, NAN, NAN, 4, 5])
    assert regular(series, "error", False)[1].tolist() == [0, 1, 2, 3, 4]


def test_uneven_rows_are_refused() -> None:
    with pytest.raises(UserError, match="is no whole number of steps after the first row"):
        regular(table([0, 10, 14, 24, 34], [1, 2, 3, 4, 5]), "fill", True)


def test_missing_values_repeat_the_last() -> None:
    series = table([0, 1, 2, 3], [1, NAN, NAN, 4])
    values, count = filled(series, "fill")
    assert values.values[:, 0].tolist() == [1, 1, 1, 4] and count == 2
    assert filled(series, "drop") == (series, 0)
    with pytest.raises(UserError, match=r"line 3: x is missing, one of 2 such values"):
        filled(series, "error")
    with pytest.raises(UserError, match="no value before it to repeat"):
        filled(table([0, 1], [NAN, 1]), "fill")


def test_windows_with_a_gap_are_not_used() -> None:
    values = np.array([[1], [2], [NAN], [4], [5], [6]])
    assert usable(values, np.arange(6), 2).tolist() == [True, False, False, True, True]
    assert usable(np.ones((4, 1)), np.array([0, 1, 3, 4]), 2).tolist() == [True, False, True]
