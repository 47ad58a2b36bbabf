"""A table with a column of texts, or two of pairs, and one of labels: CSV, TSV, JSON lines, Parquet or a sheet of Excel."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments.data.common.json_lines import read_object, text_in
from experiments.data.common.quoted_tabs import is_quoted
from experiments.data.common.typed_tables import TYPED, typed_rows
from experiments.data.text.text_data import TextData, Texts, text_of
from experiments.data.text.tokens import Text
from experiments.errors import UserError, unknown

SUFFIXES = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
LINES = (".jsonl", ".ndjson")


class TextTable(TextData):
    """Reads labelled texts, or pairs of texts, from a file, and the test split from another where there is one.

    The classes are the labels of the training file, in sorted order.

    Args:
        path: the file, .csv, .tsv, .jsonl, .parquet or .xlsx.
        text: name of the column with the texts.
        second: name of the column with the second texts of pairs, or None.
        label: name of the column with the labels.
        numbers: whether the labels are numbers to be told, for regression, in place of classes.
        test_path: file with the test split, or None to hold one out.
        encoding: of the files.
        rest: the keys of `TextData`.

    Raises:
        UserError: when a column is missing, a row has other fields than the head, or a label is missing, not known or no number.
    """

    name = "text_table"

    def __init__(
        self,
        *,
        path: str,
        text: str,
        label: str,
        test_path: str | None,
        encoding: str,
        second: str | None = None,
        numbers: bool = False,
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        self.path, self.test_path = Path(path).expanduser(), test_path and Path(test_path).expanduser()
        self.columns = (text, label, encoding, second)
        self.paired, self.numbers = second is not None, numbers

    def read(self) -> tuple[tuple[str, ...], dict[str, Texts]]:
        files = {"train": self.path} | ({"test": self.test_path} if self.test_path else {})
        by_split = one_name_a_number({split: rows(path, *self.columns) for split, path in files.items()})
        return numbered(by_split) if self.numbers else labelled(by_split)


Row = tuple[Text, str, str]  # text or pair of texts, label, place


def one_name_a_number(by_split: Mapping[str, list[Row]]) -> dict[str, list[Row]]:
    """Return the rows with one name for each class where all classes are numbers: 1 and 1.0 are the same."""
    labels = sorted(
        {label for content in by_split.values() for _, label, _ in content}, key=lambda name: (len(name), name)
    )
    if not all(math.isfinite(_order(label)[0]) for label in labels):
        return dict(by_split)
    names: dict[float, str] = {}
    for label in labels:
        names.setdefault(float(label), label)
    return {
        split: [(text, names[float(label)], place) for text, label, place in content]
        for split, content in by_split.items()
    }


def labelled(by_split: Mapping[str, list[Row]]) -> tuple[tuple[str, ...], dict[str, Texts]]:
    """Classes of the training rows, sorted, and all splits with indices into them.

    Raises:
        UserError: when another split has a label that the training split does not.
    """
    classes = tuple(sorted({label for _, label, _ in by_split["train"]}, key=_order))
    numbers = {name: number for number, name in enumerate(classes)}
    texts_by_split = {}
    for split, content in by_split.items():
        for _, label, place in content:
            if label not in numbers:
                raise UserError(
                    f"{place}: label {label} is none of the training split ({', '.join(classes[:10])}): mend the row"
                )
        labels = np.array([numbers[label] for _, label, _ in content], np.int64)
        texts_by_split[split] = Texts([text for text, _, _ in content], labels, [place for _, _, place in content])
    return classes, texts_by_split


def numbered(by_split: Mapping[str, list[Row]]) -> tuple[tuple[str, ...], dict[str, Texts]]:
    """No classes, and all splits with numbers.

    Raises:
        UserError: when a label is no number.
    """
    texts_by_split = {}
    for split, content in by_split.items():
        values = []
        for _, label, place in content:
            value = _order(label)[0]
            if not np.isfinite(value):
                raise UserError(f"{place}: label {label} is no number: mend the row, or set data.numbers=false")
            values.append([value])
        numbers = np.array(values, np.float32)
        texts_by_split[split] = Texts([text for text, _, _ in content], numbers, [place for _, _, place in content])
    return (), texts_by_split


def _order(label: str) -> tuple[float, str]:
    """Numbers in their order, then words."""
    try:
        return float(label), label
    except ValueError:
        return float("inf"), label


def rows(path: Path, text: str, label: str, encoding: str, second: str | None = None) -> list[Row]:
    """Text or pair of texts, label and `file:line` of each row.

    Raises:
        UserError: when the file cannot be read, or a row lacks a column.
    """
    suffix = path.suffix.lower()
    wanted = {"text": text, "label": label} | ({"second": second} if second else {})
    records: Iterator[tuple[str, dict[str, Any]]]
    if suffix in TYPED:
        records = ((f"{path}:{number}", record) for number, record in typed_rows(path))
    elif suffix in LINES:
        records = _json_lines(path, text_of(path, encoding))
    elif suffix in SUFFIXES:
        records = _table(path, text_of(path, encoding), SUFFIXES[suffix], wanted)
    else:
        kinds = [*SUFFIXES, *LINES, *TYPED]
        if path.is_dir():
            tables = sorted(file.name for file in path.iterdir() if file.suffix.lower() in kinds)
            holds = f"a folder with {', '.join(tables[:4])}" if tables else "a folder without a table"
            raise UserError(f"{path} is {holds}: name a file, and another with data.test_path")
        raise UserError(f"{path} is none of {', '.join(kinds)}: rename or convert it")
    rows_read: list[Row] = []
    for place, record in records:
        for key, column in wanted.items():
            if column not in record:
                raise UserError(_missing(place, column, list(record), key))
        name = record[label]
        if isinstance(name, list | dict):
            raise UserError(
                f"{place}: the label {json.dumps(name, ensure_ascii=False)[:40]} is not one class: write a text or a number"
            )
        if name is None or not str(name).strip() or name != name:  # a number that is none, as a gap in a typed column
            raise UserError(f"{place}: the label is missing in column {label}: fill it in or remove the row")
        for words in (text, second):
            if words and isinstance(record[words], list | dict):
                raise UserError(
                    f"{place}: {words} is a list or an object, and a text is wanted: write its words into one text"
                )
        value, *more = (text_in(record[column]) for column in (text, second) if column)
        rows_read.append(((value, *more) if more else value, str(name).strip(), place))  # type: ignore[arg-type]
    if not rows_read:
        raise UserError(f"{path} holds no row: name a file with labelled texts")
    return rows_read


def _missing(place: str, column: str, columns: list[str], key: str) -> str:
    return f"{place}: {unknown(f'data.{key}={column}', 'no column', column, columns)}"


def _json_lines(path: Path, content: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(content.split("\n"), 1):
        if line.strip():
            place = f"{path}:{number}"
            yield place, read_object(line, place)


def _table(path: Path, content: str, separator: str, wanted: Mapping[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    csv.field_size_limit(2**30)
    head_line = content.partition("\n")[0]
    if separator == ",":  # other separators are usual too, the semicolon where the comma is the decimal sign
        separator = max(",;\t|", key=head_line.count)
    # Tab-separated text is commonly written without quoting, so a lone quotation mark in it means itself.
    quote = None if separator == "\t" and not is_quoted(content) else '"'
    quoting: Any = csv.QUOTE_NONE if quote is None else csv.QUOTE_MINIMAL
    lines = io.StringIO(content, newline="")
    reader = csv.reader(lines, delimiter=separator, quotechar=quote, quoting=quoting, strict=True)
    try:
        head = next(reader, None)
        if head is None:
            raise UserError(f"{path} is empty: its first line names the columns")
        for key, column in wanted.items():
            if column not in head:
                raise UserError(_missing(f"{path}:1", column, head, key))
            if head.count(column) > 1:
                raise UserError(
                    f"{path}:1: {head.count(column)} columns are called {column}: give each a name of its own"
                )
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
