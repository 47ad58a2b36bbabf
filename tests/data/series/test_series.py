"""Series: tables read with the line of every mistake, parts that never read one another's future, windows as views."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from experiments.data.common.sampling import Picks
from experiments.data.series.ett import ETT
from experiments.data.series.generated_series import GeneratedSeries
from experiments.data.series.number_table import read_table
from experiments.data.series.series_table import SeriesTable
from experiments.data.series.times import parse
from experiments.errors import UserError

KEYS: dict[str, Any] = {
    "time": None,
    "columns": None,
    "time_format": None,
    "history": 6,
    "horizon": 3,
    "season": 4,
    "missing": "error",
    "even": True,
    "validation": 0.2,
    "test": 0.2,
    "borrow": False,
    "limit": None,
    "batch_size": 8,
    "workers": 0,
    "seed": 0,
}
START = datetime(2024, 2, 27)


@pytest.fixture
def series(tmp_path: Path) -> Callable[..., SeriesTable]:
    """A data module over a CSV file of the given lines, set up."""

    def make(lines: list[str], **keys: Any) -> SeriesTable:
        path = tmp_path / "table.csv"
        path.write_text("\n".join(lines) + "\n")
        data = SeriesTable(path=str(path), **KEYS | keys)
        data.setup()
        return data

    return make


def hours(rows: int, columns: int = 2) -> list[str]:
    """A table whose value tells its row and column."""
    head = ["date", *(f"c{column}" for column in range(columns))]
    body = [
        [str(START + timedelta(hours=row)), *(f"{row}.{column}" for column in range(columns))] for row in range(rows)
    ]
    return [",".join(row) for row in [head, *body]]


def rows_of(data: Any, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the rows in each window's past and future, by undoing the scaling."""
    dataset = data.dataset(part)
    past, future = dataset.__getitems__(range(len(dataset)))
    return tuple(np.rint(x[..., 0].numpy() * data.spec.std[0] + data.spec.mean[0]).astype(int) for x in (past, future))


@pytest.mark.parametrize("borrow", [False, True])
def test_no_future_value_reaches_the_past(series: Any, borrow: bool) -> None:
    """Each past is followed by its future, and no part holds a row of a later part; its past only where borrowed."""
    data = series(hours(100), borrow=borrow)
    assert data.bounds == {"train": (0, 60), "validation": (60, 80), "test": (80, 100)}
    for part, (begin, end) in data.bounds.items():
        past, future = rows_of(data, part)
        assert (np.diff(np.concatenate([past, future], axis=1), axis=1) == 1).all()
        assert future.min() >= begin and future.max() < end
        assert past.min() >= (max(begin - 6, 0) if borrow else begin)
    expected = (52, 18, 18) if borrow else (52, 12, 12)
    assert tuple(data.splits[part] for part in data.bounds) == expected


def test_later_values_change_neither_scale_nor_training_windows(series: Any) -> None:
    lines = hours(100)
    before = series(lines)
    first = before.dataset("train").__getitems__(range(10))
    changed = series([*lines[:61], *(line.replace(".", "9.") for line in lines[61:])])
    assert changed.spec == before.spec
    for old, new in zip(first, changed.dataset("train").__getitems__(range(10)), strict=True):
        assert torch.equal(old, new)


def test_scaled_values_have_mean_zero_and_deviation_one_on_the_training_part(series: Any) -> None:
    data = series(hours(100))
    train = data.values[:60]
    assert np.allclose(train.mean(0), 0, atol=1e-6) and np.allclose(train.std(0), 1, atol=1e-6)
    assert not np.allclose(data.values.mean(0), 0, atol=0.1)
    # A line that rises by one an hour: over a season of four hours by four.
    assert np.allclose(np.array(data.spec.naive_error) * data.spec.std, 4, atol=1e-6)


def test_a_batch_gathers_its_windows_and_copies_no_others(series: Any) -> None:
    data = series(hours(200))
    dataset = data.dataset("train")
    assert dataset.values is data.values  # all parts share the one array
    picked = dataset.__getitems__(Picks(np.array([5, 0, 17]), 0, 0, 0, 0))
    assert [tuple(part.shape) for part in picked] == [(3, 6, 2), (3, 3, 2)]
    for row, start in enumerate((5, 0, 17)):
        assert np.array_equal(picked[0][row].numpy(), data.values[start : start + 6])
        assert np.array_equal(picked[1][row].numpy(), data.values[start + 6 : start + 9])


def test_missing_values_are_refused_dropped_or_filled_and_counted(
    series: Any, caplog: pytest.LogCaptureFixture
) -> None:
    lines = hours(100)
    lines[21] = lines[21].replace("20.1", "")
    lines[22] = lines[22].replace("21.1", "NaN")
    with pytest.raises(UserError, match=r"line 22: c1 is missing, one of 2 .*data\.missing=fill"):
        series(lines)
    filled = series(lines, missing="fill")
    assert filled.splits["filled_values"] == 2 and "filled values: 2" in caplog.text
    assert np.array_equal(filled.table.values[20:22, 1], [19.1, 19.1])
    dropped = series(lines, missing="drop")
    assert dropped.splits["train_windows_dropped"] == 10 and dropped.splits["train"] == 42
    past, future = rows_of(dropped, "train")
    assert not np.isin([20, 21], np.concatenate([past, future], axis=1)).any()


def test_missing_rows_are_refused_dropped_or_filled(series: Any) -> None:
    lines = hours(100)
    del lines[31:33]
    with pytest.raises(UserError, match=r"line 32: 2 rows are missing before 2024-02-28 08:00:00, 2 in all"):
        series(lines)
    assert len(series(lines, missing="fill").table.values) == 100
    dropped = series(lines, missing="drop")
    past, future = rows_of(dropped, "train")
    assert (np.diff(np.concatenate([past, future], axis=1), axis=1) == 1).all()
    assert dropped.splits["missing_rows"] == 2
    assert series(lines, even=False).splits["rows"] == 98
    with pytest.raises(UserError, match=r"line 99: 8762 rows are missing in all, more than the 98 that are there"):
        series([*lines[:-1], lines[-1].replace("2024", "2025")], missing="fill")


@pytest.mark.parametrize(
    ("line", "text", "sentence"),
    [
        (5, "soon,1,2", r"line 5: date='soon' is no time ISO 8601"),
        (5, "2024-02-27 03:00:00,one,2", r"line 5: c0='one' is no number"),
        (5, "2024-02-27 03:00:00,inf,2", r"line 5: c0='inf' is no number"),
        (5, "2024-02-27 03:00:00,1", r"line 5: 2 cells, where the first line names 3"),
        (5, "2024-02-27 02:00:00,1,2", r"line 5: date=2024-02-27 02:00:00 does not come after 2024-02-27 02:00:00"),
        (5, "2024-02-27 03:30:00,1,2", r"line 5: .*no whole number of steps.*data\.even=false"),
        (5, '2024-02-27 03:00:00,"1,000",2', r"line 5: c0='1,000' is no number: write 1000 if it stands for thousands"),
        (5, '2024-02-27 03:00:00,"1,000.5",2', r"line 5: c0='1,000\.5' is no number: write 1000\.5, without marks"),
        (5, "2024-02-27 02:00:00.0000001,1,2", r"is too close to .*: write the times as numbers"),
        (1, "date,c0,c0", r"line 1: two columns are called c0"),
        (1, "2024-02-26 23:00:00,1,2", r"line 1: .*a first line of column names"),
    ],
)
def test_bad_lines_are_named(series: Any, line: int, text: str, sentence: str) -> None:
    lines = hours(100)
    lines[line - 1] = text
    with pytest.raises(UserError, match=sentence):
        series(lines)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"columns": ["c0", "cx"]}, r"data\.columns=cx is no column of .*choose from c0, c1, date"),
        ({"time": "when"}, r"data\.time=when is no column"),
        ({"history": 60}, r"the train split has 60 rows, fewer than a window of 63"),
        ({"missing": "guess"}, r"data\.missing=guess must be error, drop or fill"),
        ({"horizon": 0}, r"data\.horizon=0 must be a whole number, 1 or more"),
        ({"limit": 1000}, r"data\.limit=1000 is more than the 52 training windows"),
    ],
)
def test_bad_keys_are_named(series: Any, keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        series(hours(100), **keys)


def test_a_table_needs_a_path() -> None:
    with pytest.raises(UserError, match="data=series_table needs a file"):
        SeriesTable(path=None, **KEYS).setup()


def test_files_that_are_none(tmp_path: Path) -> None:
    for content, sentence in (
        (None, "does not exist"),
        (b"", "is empty"),
        (b"a,b\n", "no row"),
        (b"\xff\xfe1", "UTF-8"),
    ):
        path = tmp_path / "file.csv"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(UserError, match=sentence):
            SeriesTable(path=str(path), **KEYS).setup()


@pytest.mark.parametrize(
    ("cells", "form", "follows"),
    [
        (["2024-01-31", "2024-02-29", "2024-03-31"], None, ["2024-04-30", "2024-05-31"]),
        (["1949-11", "1949-12"], None, ["1950-01", "1950-02"]),
        (["1.5", "2", "2.5"], None, ["3", "3.5"]),
        (["31.12.2023 23:00", "01.01.2024 00:00"], "%d.%m.%Y %H:%M", ["01.01.2024 01:00", "01.01.2024 02:00"]),
        (["2024-02-28T23:45:00", "2024-02-29T00:00:00"], None, ["2024-02-29T00:15:00", "2024-02-29T00:30:00"]),
        (["20240228", "20240229"], None, ["20240301", "20240302"]),
    ],
)
def test_times_go_on_as_they_were_written(cells: list[str], form: str | None, follows: list[str]) -> None:
    times = parse(cells, form)
    assert np.allclose(times.places, np.arange(len(cells)))
    after = times.after(2)
    assert [after.text(0), after.text(1)] == follows


def fake_ett(root: Path, rows: int) -> None:
    """ETTh1.csv in its format: hourly, a date and seven columns of full precision."""
    folder = root / "ETT-small"
    folder.mkdir()
    values = np.random.default_rng(0).normal(size=(rows, 7)).astype(np.float32).astype(str)
    start = datetime(2016, 7, 1)
    lines = [f"{start + timedelta(hours=row)},{','.join(values[row])}" for row in range(rows)]
    (folder / "ETTh1.csv").write_text("\n".join(["date,HUFL,HULL,MUFL,MULL,LUFL,LULL,OT", *lines]) + "\n")


ETT_KEYS = {key: KEYS[key] for key in ("missing", "limit", "batch_size", "workers", "seed")} | {
    "columns": None,
    "history": 96,
    "horizon": 96,
    "season": 24,
    "borrow": True,
}


def test_ett_has_the_published_split(tmp_path: Path) -> None:
    fake_ett(tmp_path, 14_500)
    data = ETT(name="ETTh1", root=str(tmp_path), **ETT_KEYS)
    data.prepare_data()
    data.setup()
    assert data.bounds == {"train": (0, 8640), "validation": (8640, 11520), "test": (11520, 14400)}
    assert [data.splits[part] for part in data.bounds] == [8449, 2785, 2785]  # as published
    assert data.spec.season == 24 and data.spec.columns[-1] == "OT"


def test_ett_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.name=ETTx is unknown"):
        ETT(name="ETTx", root=str(tmp_path), **ETT_KEYS)
    data = ETT(name="ETTh1", root=str(tmp_path), **ETT_KEYS)
    with pytest.raises(UserError, match=r"ETTh1\.csv is missing.*data=generated_series needs no file"):
        data.prepare_data()
    fake_ett(tmp_path, 200)
    with pytest.raises(UserError, match="has 200 rows and the split of ETTh1 takes 14400"):
        data.setup()


def test_real_series_are_read(real_data: Path) -> None:
    data = ETT(name="ETTh1", root=str(real_data), **ETT_KEYS)
    data.setup()
    assert data.splits["test"] == 2785
    monthly = SeriesTable(path=str(real_data / "series" / "monthly-sunspots.csv"), **KEYS)
    monthly.setup()
    assert monthly.splits["rows"] == 2820 and monthly.table.times.text(2819) == "1983-12"
    daily = SeriesTable(path=str(real_data / "series" / "daily-min-temperatures.csv"), **KEYS)
    with pytest.raises(UserError, match="1 rows are missing before 1985-01-01, 2 in all"):  # of two leap years
        daily.setup()


def test_the_generated_series_is_always_the_same_and_says_what_it_is() -> None:
    keys = {key: KEYS[key] for key in KEYS if key not in ("time", "columns", "time_format", "missing", "even")}
    first, second = (GeneratedSeries(rows=600, **keys) for _ in range(2))
    first.setup()
    second.setup()
    assert first.spec == second.spec and first.spec.columns == ("generated",)
    assert np.array_equal(first.values, second.values) and first.table.values.min() >= 0


@pytest.mark.parametrize(
    ("cells", "follows"),
    [
        (["2021-03-28 00:00:00+01:00", "2021-03-28 01:00:00+01:00", "2021-03-28 03:00:00+02:00"], "2021-03-28 04:00:00+02:00"),
        (["2021-03-28T00:00Z", "2021-03-28T01:00Z"], "2021-03-28T02:00Z"),
        (["2021-03-28 00:00:00.250", "2021-03-28 00:00:00.500"], "2021-03-28 00:00:00.750"),
        (["2021-03-28 00:00:00.0001", "2021-03-28 00:00:00.0002"], "2021-03-28 00:00:00.0003"),
        (["2021-03-28 00:00:00.000001", "2021-03-28 00:00:00.000002"], "2021-03-28 00:00:00.000003"),
        (["1600000000000", "1600000000001"], "1600000000002"),
    ],
)  # fmt: skip
def test_times_keep_their_zone_and_precision(cells: list[str], follows: str) -> None:
    times = parse(cells, None)
    assert [times.text(place) for place in range(len(cells))] == cells
    assert times.after(1).text(0) == follows


def test_steps_of_a_microsecond_are_even() -> None:
    times = parse([f"2021-03-28 00:00:00.{place:06d}" for place in range(2000)], None)
    assert (times.places == np.arange(2000)).all() and times.step == 1e-6


def test_times_with_and_without_a_zone_do_not_mix() -> None:
    with pytest.raises(ValueError, match="1"):
        parse(["2021-03-28 00:00+01:00", "2021-03-28 01:00"], None)


def test_decimal_commas_and_marks_of_missing_values(series: Any) -> None:
    lines = [line.replace(",", ";").replace(".", ",") for line in hours(60, 1)]
    with pytest.raises(UserError, match=r"set data\.decimal=','"):
        series(lines)
    assert series(lines, decimal=",").spec.columns == ("c0",)
    lines = hours(60, 1)
    lines[5] = lines[5].rpartition(",")[0] + ",1_5"  # which Python reads as 15
    with pytest.raises(UserError, match=r"c0='1_5' is no number"):
        series(lines)
    lines = hours(60, 1)
    lines[5] = lines[5].rpartition(",")[0] + ",?"
    with pytest.raises(UserError, match=r"set data\.missing_as='\?'"):
        series(lines, missing="fill")
    assert np.isfinite(series(lines, missing="fill", missing_as="?").spec.mean).all()


def test_empty_columns_at_the_ends_of_lines(series: Any) -> None:
    lines = [line.replace(",", ";") + ";;" for line in hours(60, 1)]
    assert series([*lines, ";;;"]).spec.columns == ("c0",)
    lines[7] += "5"
    with pytest.raises(UserError, match="line 8: column 4 has values and no name"):
        series(lines)


@pytest.mark.parametrize(
    ("cells", "following"),
    [
        (["1992-W52", "1992-W53"], "1993-W01"),
        (["1992W52", "1992W53"], "1993W01"),
        (["1992-W53-6", "1992-W53-7"], "1993-W01-1"),
        (["20160701T22", "20160701T23"], "20160702T00"),
        (["20160701T225500", "20160701T230000"], "20160701T230500"),
        (["20160701T2255Z", "20160701T2300Z"], "20160701T2305Z"),
        (["2016-07-01T22", "2016-07-01T23"], "2016-07-02T00"),
        (["2016-07-01", "2016-07-01 12:00:00"], "2016-07-02 00:00:00"),  # as spreadsheets leave midnight out
        (["2016-07-01 22:00:00.5", "2016-07-01 22:00:01.0"], "2016-07-01 22:00:01.5"),
        (["2016-07-01T22:00+05:30", "2016-07-01T23:00+05:30"], "2016-07-02T00:00+05:30"),
    ],
    ids=str,
)
def test_forms_of_iso_8601_are_kept(cells: list[str], following: str) -> None:
    times = parse(cells, None)
    assert times.after(1).text(0) == following and times.text(1) == cells[1]


def test_numbers_that_excel_holds_as_texts(tmp_path: Path) -> None:
    """Beside cells that are numbers, whose point is nobody's choice."""
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("openpyxl")
    path = tmp_path / "table.xlsx"
    dates = [START + timedelta(hours=row) for row in range(60)]
    columns = {"text": [f"{row},5" for row in range(60)], "number": [row + 0.25 for row in range(60)]}
    pandas.DataFrame({"date": dates} | columns).to_excel(path, index=False)
    with pytest.raises(UserError, match=r"text='0,5' is no number: set data\.decimal=','"):
        read_table(path, None, None, None)
    values = read_table(path, None, None, None, decimal=",").values
    assert values[:2].tolist() == [[0.5, 0.25], [1.5, 1.25]]
