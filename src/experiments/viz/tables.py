"""Tables as text, Markdown and CSV."""

from __future__ import annotations

import csv
import io
import textwrap
import unicodedata
from collections.abc import Collection, Sequence
from itertools import zip_longest

from experiments.system.outside_text import cell, clean

Rows = Sequence[Sequence[str]]
NARROWEST = 12  # columns that folding leaves to a text


def columns(text: str) -> int:
    """Columns of a terminal that a text takes: signs above and below a letter take none."""
    return sum(unicodedata.category(letter) not in ("Mn", "Me", "Cf") for letter in text)


def narrowest(head: Sequence[str], rows: Rows, right: Sequence[int], whole: bool = False) -> int:
    """Columns of a terminal that a table needs at least, with its texts folded, between words alone if those stay whole."""
    widths, words = _widths(head, rows), _longest_words(head, rows)
    least = [
        width if at in right else min(width, max(NARROWEST, words[at] if whole else 0))
        for at, width in enumerate(widths)
    ]
    return sum(least) + 2 * (len(least) - 1)


def without(
    head: Sequence[str],
    rows: Rows,
    right: Sequence[int],
    wide: int | None,
    least_wanted: Sequence[str],
    whole: bool = False,
) -> tuple[list[str], list[list[str]], list[int], list[str]]:
    """Leave out columns, the least wanted first, until a table fits a terminal: head, rows, columns that align right, and what was left out.

    Args:
        head, rows, right: as of `table`.
        wide: columns of the terminal; None leaves all.
        least_wanted: names of columns in the order in which they go.
        whole: keep every word whole.
    """
    kept = list(range(len(head)))
    gone: list[str] = []

    def those() -> tuple[list[str], list[list[str]], list[int]]:
        return [head[at] for at in kept], [[row[at] for at in kept] for row in rows], [kept.index(at) for at in right if at in kept]  # fmt: skip

    for name in least_wanted:
        if wide is None or narrowest(*those(), whole) <= wide:
            break
        if name in head:
            kept.remove(list(head).index(name))
            gone.append(name)
    return *those(), gone


def _widths(head: Sequence[str], rows: Rows) -> list[int]:
    return [max(columns(row[column]) for row in [head, *rows]) for column in range(len(head))]


def _longest_words(head: Sequence[str], rows: Rows) -> list[int]:
    return [max(map(columns, " ".join(row[at] for row in [head, *rows]).split()), default=0) for at in range(len(head))]


def table(
    head: Sequence[str],
    rows: Rows,
    right: Sequence[int] = (),
    bold: Collection[int] = (),
    wide: int | None = None,
) -> str:
    """Aligned columns under a head.

    Args:
        head: names of the columns.
        rows: one text a column.
        right: numbers of the columns that align right.
        bold: numbers of the rows that stand out; only for a terminal.
        wide: columns of the terminal; texts that align left are folded until lines fit. None folds nothing.
    """
    head, rows = [clean(name) for name in head], [[clean(cell) for cell in row] for row in rows]
    widths = _widths(head, rows)
    over = 0 if wide is None else sum(widths) + 2 * (len(widths) - 1) - wide
    texts = [at for at in range(len(widths)) if at not in right]
    words = _longest_words(head, rows)
    for whole in (True, False):  # between words first
        least = {at: max(NARROWEST, words[at] if whole else 0) for at in texts}
        while over > 0 and (long := [at for at in texts if widths[at] > least[at]]):
            widths[max(long, key=lambda at: widths[at])] -= 1
            over -= 1

    def line(row: Sequence[str]) -> str:
        # Signs above and below letters, as in Devanagari, take no column of their own.
        filled = [(cell, " " * (width - columns(cell))) for cell, width in zip(row, widths, strict=True)]
        cells = (space + cell if column in right else cell + space for column, (cell, space) in enumerate(filled))
        return "  ".join(cells).rstrip()

    def lines(row: Sequence[str]) -> list[str]:
        folded = [
            textwrap.wrap(cell, width, break_on_hyphens=False) if columns(cell) > width else [cell]
            for cell, width in zip(row, widths, strict=True)
        ]
        return [line(parts) for parts in zip_longest(*folded, fillvalue="")]

    body = [
        f"\x1b[1m{text}\x1b[0m" if number in bold else text for number, row in enumerate(rows) for text in lines(row)
    ]
    return "\n".join([*lines(head), line(["─" * width for width in widths]), *body])


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
