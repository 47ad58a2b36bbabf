"""Tab-separated text with quotation marks around its fields, as spreadsheets and pandas write it, told from text without."""

from __future__ import annotations

import csv
import io
import re

_DOUBLED = re.compile(r'(?:^|\t)"(?:[^"\t\n]|"")*""(?:[^"\t\n]|"")*"(?=\t|\r?$)', re.M)
_ALL = re.compile(r'"[^\n]*"\t"[^\n]*"\r?')


def is_quoted(text: str) -> bool:
    """Tell whether tab-separated text is quoted: a field in quotation marks has doubled ones in it, or all fields of all lines
    are in them, and every row has as many fields when it is read so. A lone mark means itself.
    """
    if '"' not in text:
        return False
    lines = [line for line in text.split("\n") if line.strip()]
    if not _DOUBLED.search(text) and not all(map(_ALL.fullmatch, lines)):
        return False
    csv.field_size_limit(2**30)
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter="\t", strict=True)
        return len({len(row) for row in rows if row}) == 1
    except csv.Error:
        return False
