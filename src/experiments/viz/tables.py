"""Tables as text, Markdown and CSV."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Collection, Sequence

from experiments.system.outside_text import cell, clean

Rows = Sequence[Sequence[str]]


def columns(text: str) -> int:
    """Columns of a terminal that a text takes: signs above and below a letter take none."""
    return sum(unicodedata.category(letter) not in ("Mn", "Me", "Cf") for letter in text)


def table(head: Sequence[str], rows: Rows, right: Sequence[int] = (), bold: Collection[int] = ()) -> str:
    """Aligned columns under a head.

    Args:
        head: names of the columns.
        rows: one text a column.
        right: numbers of the columns that align right.
        bold: numbers of the rows that stand out; only for a terminal.
    """
    head, rows = [clean(name) for name in head], [[clean(cell) for cell in row] for row in rows]
    widths = [max(columns(row[column]) for row in [head, *rows]) for column in range(len(head))]

    def line(row: Sequence[str]) -> str:
        # Signs above and below letters, as in Devanagari, take no column of their own.
        filled = [(cell, " " * (width - columns(cell))) for cell, width in zip(row, widths, strict=True)]
        cells = (space + cell if column in right else cell + space for column, (cell, space) in enumerate(filled))
        return "  ".join(cells).rstrip()

    body = [f"\x1b[1m{line(row)}\x1b[0m" if number in bold else line(row) for number, row in enumerate(rows)]
    return "\n".join([line(head), line(["─" * width for width in widths]), *body])


def markdown(head: Sequence[str], rows: Rows, right: Sequence[int] = (), bold: Collection[int] = ()) -> str:
    """Return the same as a Markdown table."""

    def line(row: Sequence[str], strong: bool = False) -> str:
        cells = (clean(cell).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;") for cell in row)
        return "| " + " | ".join(f"**{cell}**" if strong and cell else cell for cell in cells) + " |"

    rule = "| " + " | ".join("---:" if column in right else "---" for column in range(len(head))) + " |"
    return "\n".join([line(head), rule, *(line(row, number in bold) for number, row in enumerate(rows))])


def comma_separated(head: Sequence[str], rows: Rows) -> str:
    """Return the same as CSV; no cell is a formula to a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([[cell(value) for value in row] for row in [head, *rows]])
    return text.getvalue().rstrip("\n")
