"""Electricity transformer temperature: load and oil temperature of two transformers, hourly or every quarter of an hour.

Zhou et al., Informer (2021). The split is the one of the published comparisons: twelve months of thirty days for
training, four for validation, four for test, and the rest unused; the past of the first validation and test windows
reaches back into the split before, as it does there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.data.common.published_files import data_root
from experiments.data.series.number_table import Table, read_table
from experiments.data.series.series_data import SeriesData
from experiments.errors import UserError

ROWS_AN_HOUR = {"ETTh1": 1, "ETTh2": 1, "ETTm1": 4, "ETTm2": 4}
MONTH = 30 * 24  # hours


class ETT(SeriesData):
    """The seven columns of `ROOT/ETT-small/NAME.csv`: six loads and the oil temperature, OT.

    Args:
        name: ETTh1, ETTh2, ETTm1 or ETTm2.
        columns: those to forecast; None: all.
        root: folder where datasets live.
        rest: the keys of `SeriesData`.
    """

    def __init__(self, *, name: str, columns: Sequence[str] | str | None, root: str | None, **rest: Any) -> None:
        if name not in ROWS_AN_HOUR:
            raise UserError(f"data.name={name} is unknown: choose from {', '.join(ROWS_AN_HOUR)}")
        super().__init__(even=True, validation=0.2, test=0.2, **rest)
        self.name, self.root = name, root
        self.columns = [columns] if isinstance(columns, str) else columns

    @property
    def file(self) -> Path:
        return data_root("ett", self.root) / "ETT-small" / f"{self.name}.csv"

    def prepare_data(self) -> None:
        if not self.file.is_file():
            raise UserError(
                f"data=ett: {self.file.name} is missing and belongs in {self.file.parent} (data.root or the variable"
                " EXPERIMENTS_DATA say where); data=generated_series needs no file"
            )

    def read(self) -> Table:
        table = self.read_file(self.file)
        needed = 20 * MONTH * ROWS_AN_HOUR[self.name]
        if len(table.values) < needed:
            raise UserError(
                f"{self.file} has {len(table.values)} rows and the split of {self.name} takes {needed}: fetch it again"
            )
        return Table(
            table.path,
            type(table.times)(table.times.values[:needed], table.times.form),
            table.columns,
            table.values[:needed],
            table.lines[:needed],
        )

    def read_file(self, path: Path) -> Table:
        """Another file of the same form."""
        return read_table(path, "date", self.columns, None)

    def ends(self, rows: int) -> tuple[int, int, int]:
        month = MONTH * ROWS_AN_HOUR[self.name]
        return 12 * month, 16 * month, 20 * month
