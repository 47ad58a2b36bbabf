"""Labelled texts, or pairs of texts, from the `datasets` library: Parquet files, a folder, or a name on its hub."""

from __future__ import annotations

from typing import Any

from experiments.data.common.huggingface import LABELS, TEXTS, class_names, column, open_splits
from experiments.data.text.text_data import TextData, Texts
from experiments.data.text.text_table import Row, labelled, numbered, one_name_a_number
from experiments.errors import UserError


class HuggingfaceTexts(TextData):
    """Reads a dataset of texts with one label each.

    Args:
        path: see `open_splits`.
        config: likewise, such as `sst2` of glue.
        text: name of the column with the texts; None: that with a usual name, else the first of texts.
        second: name of the column with the second texts of pairs, or None.
        label: name of the column with the labels; None: that with a usual name, else the first of classes or whole numbers.
        numbers: whether the labels are numbers to be told, for regression, in place of classes.
        rest: the keys of `TextData`.
    """

    name = "huggingface_text"

    def __init__(
        self,
        *,
        path: str,
        config: str | None,
        text: str | None,
        second: str | None,
        label: str | None,
        numbers: bool,
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        self.path, self.config, self.columns = path, config, (text, second, label)
        self.paired, self.numbers = second is not None, numbers

    def read(self) -> tuple[tuple[str, ...], dict[str, Texts]]:
        whole = open_splits(self.path, self.config)
        train = whole["train"]
        text = column(train, "data.text", self.columns[0], ("string", "large_string"), "texts", TEXTS)
        second = self.columns[1] and column(train, "data.second", self.columns[1], (), "texts")
        kinds = ("float64", "float32", "int64") if self.numbers else ("ClassLabel", "int64", "int32", "bool")
        label = column(train, "data.label", self.columns[2], kinds, "labels", LABELS)
        names = class_names(train, label)
        rows: dict[str, list[Row]] = {}
        for split, data in whole.items():
            if label not in data.column_names or (names and min(data[label]) < 0):  # -1: labels that are kept secret
                continue
            rows[split] = []
            for number, row in enumerate(data):
                place = f"{self.path}, {split} split, example {number}"
                value = row[label]
                if value is None:
                    raise UserError(f"{place}: the label is missing in column {label}: fill it in or remove the row")
                texts = (str(row[text] or ""), str(row[second] or "")) if second else str(row[text] or "")
                rows[split].append((texts, names[value] if names else str(value), place))
        return numbered(rows) if self.numbers else labelled(one_name_a_number(rows))
