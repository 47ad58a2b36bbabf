"""Any CSV, Parquet or Excel file with a column of times."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.data.series.number_table import Table, read_table
from experiments.data.series.series_data import SeriesData
from experiments.errors import UserError


class SeriesTable(SeriesData):
    """The columns of a table.

    Args:
        path: the file.
        time: the column of times; None: the first.
        columns: those to forecast; None: every other one.
        time_format: of the times, such as `%d.%m.%Y`; None: ISO 8601, or numbers.
        decimal: what stands before a number's fraction, "." or ",".
        missing_as: further marks of a missing value, such as "?"; one, or a list.
        rest: the keys of `SeriesData`.
    """

    name = "series_table"

    def __init__(
        self,
        *,
        path: str | None,
        time: str | None,
        columns: Sequence[str] | str | None,
        time_format: str | None,
        decimal: str = ".",
        missing_as: Sequence[str] | str | None = None,
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        if decimal not in (".", ","):
            raise UserError(f"data.decimal={decimal} is neither a point nor a comma: set data.decimal=','")
        self.decimal = decimal
        self.missing_as = [missing_as] if isinstance(missing_as, str) else list(missing_as or ())
        self.path, self.time, self.time_format = path, time, time_format
        self.columns = [columns] if isinstance(columns, str) else columns

    def read(self) -> Table:
        if not self.path:
            raise UserError(
                f"data={self.name} needs a file: set data.path to a CSV, Parquet or Excel file with a column of times"
            )
        return self.read_file(Path(self.path).expanduser())

    def read_file(self, path: Path) -> Table:
        """Another file of the same form."""
        return read_table(path, self.time, self.columns, self.time_format, self.decimal, self.missing_as)
