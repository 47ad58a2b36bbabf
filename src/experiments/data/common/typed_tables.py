"""Tables whose cells have types: a Parquet file, or the first sheet of an Excel file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiments.data.common.packed import ContentTooLargeError, refuse_size, refuse_too_large
from experiments.errors import UserError, first_line

SHEET, PARQUET = ".xlsx", ".parquet"
TYPED = (SHEET, PARQUET)


def typed_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Return the number of each row, as its program counts them, and its cells by column; empty rows of a sheet are
    none.

    Raises:
        UserError: when the file cannot be read, a column has no name or that of another, or a package is missing.
    """
    return _sheet(path) if path.suffix.lower() == SHEET else _parquet(path)


def _sheet(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        from openpyxl import load_workbook
    except ImportError:
        raise _missing(path, "openpyxl") from None
    try:
        refuse_too_large(path)
        sheet = load_workbook(path, read_only=True, data_only=True).worksheets[0]
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): name the file with the data") from error
    except ContentTooLargeError as error:
        raise _too_large(path, error) from error
    except Exception as error:  # a zip file of something else has several ways to fail
        raise UserError(f"{path} is no Excel file, or damaged ({first_line(error)}): save it again") from error
    rows = enumerate(sheet.iter_rows(values_only=True), 1)
    head = {place: str(title) for place, title in enumerate(next(rows, (1, ()))[1]) if title is not None}
    if not head:
        raise UserError(f"{path} is empty: its first row names the columns")
    _require_different(path, list(head.values()))
    for number, cells in rows:
        for place, cell in enumerate(cells):
            if place not in head and cell is not None and str(cell).strip():  # a formula may give an empty text
                raise UserError(f"{path}:{number}: column {place + 1} has values and no name: name it in the first row")
        if any(cell is not None for cell in cells):
            yield number, {name: cells[place] if place < len(cells) else None for place, name in head.items()}


def _parquet(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        from pyarrow import parquet
    except ImportError:
        raise _missing(path, "pyarrow") from None
    try:
        file = parquet.ParquetFile(path)
        cells = file.metadata.num_rows * file.metadata.num_columns  # a byte each at least, however well they are packed
        refuse_size(
            max(cells, *(file.metadata.row_group(group).total_byte_size for group in range(file.num_row_groups)), 0)
        )
        _require_different(path, file.schema_arrow.names)
        number = 0
        for batch in file.iter_batches():
            for record in batch.to_pylist():
                number += 1
                yield number, record
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"{path} cannot be read ({first_line(error)}): name the file with the data") from error
    except ContentTooLargeError as error:
        raise _too_large(path, error) from error
    except Exception as error:  # of the library's own kinds
        raise UserError(f"{path} is no Parquet file, or damaged ({first_line(error)}): save it again") from error


def _too_large(path: Path, error: ContentTooLargeError) -> UserError:
    return UserError(f"{path} is too large ({error}): leave out rows or columns, or take a machine with more memory")


def _missing(path: Path, package: str) -> UserError:
    return UserError(
        f"{path} needs the package {package}, which is not installed: pip install 'lightning-experiments[tables]', or save it as CSV"
    )


def _require_different(path: Path, head: list[str]) -> None:
    for name in head:
        if head.count(name) > 1:
            raise UserError(f"{path}:1: {head.count(name)} columns are called {name}: give each a name of its own")
