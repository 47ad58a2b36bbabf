"""A table with a column of texts and one of labels: CSV, TSV or JSON lines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments.data.text.text_data import TextData, Texts, text_of
from experiments.errors import UserError, unknown

SUFFIXES = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
LINES = (".jsonl", ".ndjson")


class TextTable(TextData):
    """Reads labelled texts from a file, and the test part from another where there is one.

    The classes are the labels of the training file, in sorted order.

    Args:
        path: the file, .csv, .tsv or .jsonl.
        text: name of the column with the texts.
        label: name of the column with the labels.
        test_path: file with the test part, or None to hold one out.
        encoding: of the files.
        rest: the keys of `TextData`.

    Raises:
        UserError: when a column is missing, a row has other fields than the head, or a label is missing or not known.
    """

    name = "text_table"

    def __init__(self, *, path: str, text: str, label: str, test_path: str | None, encoding: str, **rest: Any) -> None:
        super().__init__(**rest)
        self.path, self.test_path = Path(path).expanduser(), test_path and Path(test_path).expanduser()
        self.columns, self.encoding = (text, label), encoding

    def read(self) -> tuple[tuple[str, ...], dict[str, Texts]]:
        files = {"train": self.path} | ({"test": self.test_path} if self.test_path else {})
        return labelled({part: rows(path, *self.columns, self.encoding) for part, path in files.items()})


Row = tuple[str, str, str]  # text, label, place


def labelled(parts: Mapping[str, list[Row]]) -> tuple[tuple[str, ...], dict[str, Texts]]:
    """Classes of the training rows, sorted, and all parts with indices into them.

    Raises:
        UserError: when another part has a label that the training part does not.
    """
    classes = tuple(sorted({label for _, label, _ in parts["train"]}, key=_order))
    numbers = {name: number for number, name in enumerate(classes)}
    found = {}
    for part, content in parts.items():
        for _, label, place in content:
            if label not in numbers:
                raise UserError(
                    f"{place}: label {label} is none of the training part ({', '.join(classes[:10])}): mend the row"
                )
        labels = np.array([numbers[label] for _, label, _ in content], np.int64)
        found[part] = Texts([text for text, _, _ in content], labels, [place for _, _, place in content])
    return classes, found


def _order(label: str) -> tuple[float, str]:
    """Numbers in their order, then words."""
    try:
        return float(label), label
    except ValueError:
        return float("inf"), label


def rows(path: Path, text: str, label: str, encoding: str) -> list[Row]:
    """Text, label and `file:line` of each row.

    Raises:
        UserError: when the file cannot be read, or a row lacks a column.
    """
    suffix = path.suffix.lower()
    content = text_of(path, encoding)
    if suffix in LINES:
        records = _json_lines(path, content)
    elif suffix in SUFFIXES:
        records = _table(path, content, SUFFIXES[suffix], (text, label))
    else:
        raise UserError(f"{path} is none of {', '.join([*SUFFIXES, *LINES])}: rename or convert it")
    found = []
    for place, record in records:
        for column in (text, label):
            if column not in record:
                raise UserError(_missing(place, column, list(record), "text" if column == text else "label"))
        value, name = record[text], record[label]
        if name is None or not str(name).strip():
            raise UserError(f"{place}: the label is missing in column {label}: fill it in or remove the row")
        found.append(("" if value is None else str(value), str(name).strip(), place))
    if not found:
        raise UserError(f"{path} holds no row: name a file with labelled texts")
    return found


def _missing(place: str, column: str, known: list[str], key: str) -> str:
    return f"{place}: {unknown(f'data.{key}={column}', 'no column', column, known)}"


def _json_lines(path: Path, content: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{path}:{number}: no JSON ({error.msg}): write one object a line") from error
        if not isinstance(record, dict):
            raise UserError(f"{path}:{number}: {line.strip()[:40]} is no object: write one object a line")
        yield f"{path}:{number}", record


def _table(path: Path, content: str, separator: str, wanted: tuple[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    csv.field_size_limit(2**30)
    head_line = content.partition("\n")[0]
    if separator == "," and head_line.count(";") > head_line.count(","):  # where the comma is the decimal sign
        separator = ";"
    # Tab-separated text is commonly written without quoting, so a lone quotation mark in it means itself.
    quote = None if separator == "\t" else '"'
    quoting: Any = csv.QUOTE_NONE if quote is None else csv.QUOTE_MINIMAL
    lines = io.StringIO(content, newline="")
    reader = csv.reader(lines, delimiter=separator, quotechar=quote, quoting=quoting, strict=True)
    try:
        head = next(reader, None)
        if head is None:
            raise UserError(f"{path} is empty: its first line names the columns")
        for column, key in zip(wanted, ("text", "label"), strict=True):
            if column not in head:
                raise UserError(_missing(f"{path}:1", column, head, key))
        start = reader.line_num + 1
        for fields in reader:
            place, start = f"{path}:{start}", reader.line_num + 1
            if not fields:
                continue
            if len(fields) != len(head):
                raise UserError(f"{place}: {len(fields)} fields where the first line names {len(head)}: mend the row")
            yield place, dict(zip(head, fields, strict=True))
    except csv.Error as error:
        raise UserError(f"{path}:{reader.line_num}: {error}: mend the quotation marks") from error
