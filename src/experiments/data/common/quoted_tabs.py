"""Tab-separated text with quotation marks around its fields, as spreadsheets and pandas write it, told from text without."""

from __future__ import annotations

import csv
import io
import re

# A field in marks, or one without, and what ends it; possessive, so that no text takes longer than its length.
_FIELD = re.compile(r'(?:"((?:[^"]|"")*+)"|([^\t\r\n]*+))(\t|\r?\n|\Z)')


def is_quoted(text: str) -> bool:
    """Tell whether tab-separated text is quoted: every row has as many fields when it is read so, and the marks do
    something, or one column has them in all rows. A lone mark means itself.
    """
    if '"' not in text or not _as_many_in_each(text):
        return False
    lines = [line for line in text.split("\n") if line.strip()]
    if len({line.count("\t") for line in lines}) > 1:  # a tab or the end of a line within marks
        return True
    rows: list[set[int]] = []
    marked: set[int] = set()
    place = last = 0
    for field in _FIELD.finditer(text):
        inside, plain, end = field.groups()
        if inside is not None:
            if "\t" in inside or "\n" in inside:  # all lines have as many fields without it
                return False
            if '""' in inside:
                return True
            marked.add(place)
        place += 1
        if end != "\t":
            if marked or place > 1 or plain.strip():  # no blank line
                rows.append(marked)
                last = place
            marked, place = set(), 0
    return len(set.intersection(*rows)) >= (1 if len(rows) > 1 else last)


def _as_many_in_each(text: str) -> bool:
    csv.field_size_limit(2**30)
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter="\t", strict=True)
        return len({len(row) for row in rows if any(cell.strip() for cell in row)}) == 1
    except csv.Error:
        return False
