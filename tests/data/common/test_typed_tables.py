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
