"""Parquet and Excel in the place of CSV: the same texts, series and sentences."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.data.series.number_table import read_table
from experiments.data.text.text_table import rows
from experiments.errors import UserError

pandas = pytest.importorskip("pandas")


def write(path: Path, columns: dict[str, Any]) -> Path:
    pytest.importorskip("pyarrow" if path.suffix == ".parquet" else "openpyxl")
    frame = pandas.DataFrame(columns)
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_excel(path, index=False)
    return path


@pytest.mark.parametrize("suffix", [".parquet", ".xlsx"])
def test_series(tmp_path: Path, suffix: str) -> None:
    times = [datetime(2026, 1, 1) + timedelta(minutes=15 * step) for step in range(4)]
    table = read_table(
        write(tmp_path / f"a{suffix}", {"date": times, "load": [1.5, None, 3.25, 4]}), None, None, None, ","
    )
    assert table.columns == ("load",)
    assert np.array_equal(table.values[:, 0], [1.5, np.nan, 3.25, 4], equal_nan=True)
    assert len(set(np.diff(table.times.values))) == 1
    with pytest.raises(UserError, match="does not come after"):
        read_table(write(tmp_path / f"b{suffix}", {"date": times[::-1], "load": [1, 2, 3, 4]}), None, None, None)


@pytest.mark.parametrize("suffix", [".parquet", ".xlsx"])
def test_texts(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a{suffix}", {"text": ["good", "bad"], "label": [1, 0]})
    assert [(text, label) for text, label, _ in rows(path, "text", "label", "utf-8")] == [("good", "1"), ("bad", "0")]
    with pytest.raises(UserError, match="did you mean text"):
        rows(path, "texte", "label", "utf-8")


def test_a_damaged_file(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(UserError, match="no Parquet file, or damaged"):
        rows(tmp_path / "a.parquet", "text", "label", "utf-8")


@pytest.mark.parametrize("suffix", [".parquet", ".xlsx"])
def test_a_file_that_needs_more_than_the_free_memory(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / f"a{suffix}", {"text": ["good"], "label": [1]})
    monkeypatch.setattr("experiments.data.common.packed.free_memory", lambda: 1)
    with pytest.raises(UserError, match=r"is too large \(its content takes .* of memory are free\): leave out rows"):
        rows(path, "text", "label", "utf-8")


def test_a_sheet_with_a_column_of_no_name(tmp_path: Path) -> None:
    """An empty one moves no other; a full one is named."""
    book = pytest.importorskip("openpyxl").Workbook()
    for row in (["text", None, "label"], ["good", None, 1], ["bad", None, 0]):
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    assert [label for _, label, _ in rows(tmp_path / "a.xlsx", "text", "label", "utf-8")] == ["1", "0"]
    book.active["B3"] = " "
    book.save(tmp_path / "a.xlsx")
    assert [label for _, label, _ in rows(tmp_path / "a.xlsx", "text", "label", "utf-8")] == ["1", "0"]
    book.active["B3"] = "?"
    book.save(tmp_path / "b.xlsx")
    with pytest.raises(UserError, match=r"b\.xlsx:3: column 2 has values and no name: name it in the first row"):
        rows(tmp_path / "b.xlsx", "text", "label", "utf-8")


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ('{"text": "a", "label": NaN}', "the label is missing"),
        ('{"text": ["a", "b"], "label": 1}', "text is a list or an object, and a text is wanted"),
    ],
)
def test_values_that_are_no_text_and_no_label(tmp_path: Path, row: str, sentence: str) -> None:
    (tmp_path / "a.jsonl").write_text(row)
    with pytest.raises(UserError, match=f"a.jsonl:1: .*{sentence}"):
        rows(tmp_path / "a.jsonl", "text", "label", "utf-8")
