"""Sentences that say the same, in one language or in two: a file with two columns and no labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.data.text.text_data import TextData, Texts, lines_of
from experiments.errors import UserError


class SentencePairs(TextData):
    """Reads pairs from a file with tabs between columns; each text is the other's partner. Of pairs that share a text the
    first alone is read, so that no text stands in two splits or has two partners.

    Args:
        path: the file.
        columns: of the two texts, counted from 0.
        test_path: file with the test split, or None to hold one out.
        encoding: of the files.
        rest: the keys of `TextData`.

    Raises:
        UserError: when a line lacks a column.
    """

    name = "sentence_pairs"
    paired = True

    def __init__(self, *, path: str, columns: Sequence[int], test_path: str | None, encoding: str, **rest: Any) -> None:
        super().__init__(**rest)
        if len(columns) != 2 or any(
            isinstance(number, bool) or not isinstance(number, int) or number < 0 for number in columns
        ):
            raise UserError(
                f"data.columns={list(columns)} must be the numbers of two columns, from 0: try data.columns=[0,1]"
            )
        self.path, self.test_path = Path(path).expanduser(), test_path and Path(test_path).expanduser()
        self.columns, self.encoding = list(columns), encoding

    def read(self) -> tuple[tuple[str, ...], dict[str, Texts]]:
        files = {"train": self.path} | ({"test": self.test_path} if self.test_path else {})
        return (), {split: self._read(path) for split, path in files.items()}

    def _read(self, path: Path) -> Texts:
        pairs, places = [], []
        seen: tuple[set[str], set[str]] = (set(), set())
        for number, line in enumerate(lines_of(path, self.encoding), 1):
            fields = line.split("\t")
            if len(fields) <= max(self.columns):
                raise UserError(
                    f"{path}:{number}: {len(fields)} columns where data.columns={self.columns} asks for more: mend the line"
                )
            pair = tuple(fields[column] for column in self.columns)
            if any(text in seen_texts for text, seen_texts in zip(pair, seen, strict=True)):
                continue
            for text, seen_texts in zip(pair, seen, strict=True):
                seen_texts.add(text)
            pairs.append(pair)
            places.append(f"{path}:{number}")
        if not pairs:
            raise UserError(f"{path} is empty: name a file of pairs")
        return Texts(pairs, np.zeros((len(pairs), 0), np.float32), places)
