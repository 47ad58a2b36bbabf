"""Sentence pairs in files of one's own: a tab-separated table, two parallel files, or a folder of them by split."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from experiments.data.common.quoted_tabs import is_quoted
from experiments.data.pairs.language_names import code_of, languages_of
from experiments.data.pairs.pair_data import PairData
from experiments.data.pairs.pair_texts import PairTexts
from experiments.data.text.text_data import lines_in, lines_of, text_of
from experiments.errors import UserError

_SIDES = (("source", "target"), ("src", "tgt"), ("src", "trg"))  # as heads of tables call the two
NAMES = {"train": ("train",), "validation": ("val", "valid", "validation", "dev"), "test": ("test", "test_2016_flickr")}


class PairFiles(PairData):
    """Reads sentence pairs of any two languages.

    Args:
        path: a file of tab-separated columns; a file of source sentences, with `target_path`; or a folder in the layout
            of Multi30k, `train.en`, `train.de`, `val.en`, …, compressed (.gz) or not.
        target_path: the file of target sentences, line by line; or None.
        test_path: a table with the test split; or None, where a split is held out or the folder has one.
        languages: names of source and target, which are the endings of a folder's files; None only for files.
        columns: numbers of the columns with source and target, counted from 1.
        encoding: of the files.
        rest: the keys of `PairData`.

    Raises:
        UserError: when a file is missing, a line has no tab, or parallel files have unequally many lines.
    """

    name = "pairs"

    def __init__(
        self,
        *,
        path: str,
        target_path: str | None,
        test_path: str | None,
        languages: Sequence[str] | None,
        columns: Sequence[int],
        encoding: str,
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        if len(columns) != 2 or any(
            isinstance(number, bool) or not isinstance(number, int) or number < 1 for number in columns
        ):
            raise UserError(f"data.columns={list(columns)} must be two numbers counted from 1: try data.columns=[1,2]")
        if languages is not None:
            if len(languages) != 2 or languages[0] == languages[1]:
                raise UserError(
                    f"data.languages={list(languages)} must be two different ones: try data.languages=[en,de]"
                )
            self.languages = (str(languages[0]), str(languages[1]))
        self.named = languages is not None
        self.path, self.target_path, self.test_path = path, target_path, test_path
        self.columns, self.encoding = tuple(columns), encoding

    def read(self) -> dict[str, PairTexts]:
        path = Path(self.path).expanduser()
        if path.is_dir():
            return self._folder(path)
        if self.target_path is not None:
            by_split = {"train": parallel(path, Path(self.target_path).expanduser(), self.encoding)}
        else:
            by_split = {"train": self._table(path)}
        if self.test_path is not None:
            by_split["test"] = self._table(Path(self.test_path).expanduser())
        return by_split

    def _table(self, path: Path) -> PairTexts:
        """Return the pairs of a table, whose first line may name the columns."""
        return table(path, self.columns, self.encoding, (*((self.languages,) if self.named else ()), *_SIDES))

    def _folder(self, folder: Path) -> dict[str, PairTexts]:
        if not self.named:
            there = sorted({path.name.removesuffix(".gz").rpartition(".")[2] for path in folder.glob("train.*")})
            raise UserError(
                f"data.languages is needed for the folder {folder}, which has train.* of {', '.join(there) or 'none'}: "
                f"try data.languages=[{','.join(([*there, 'en', 'de'])[:2])}]"
            )
        by_split = {}
        for split, names in NAMES.items():
            for name in names:
                files = [_there(folder / f"{name}.{language}") for language in self.languages]
                if files[0] and files[1]:
                    by_split[split] = parallel(files[0], files[1], self.encoding)
                    break
                if any(files):
                    lost = self.languages[files.index(None)]
                    raise UserError(f"{folder / name}.{lost} is missing, and its counterpart is there: add it")
        if "train" not in by_split:
            raise UserError(f"{folder} has no train.{self.languages[0]} and train.{self.languages[1]}: add them")
        return by_split


def _there(path: Path) -> Path | None:
    """Return the file, or its compressed form, or None."""
    packed = path.with_name(f"{path.name}.gz")
    return path if path.is_file() else packed if packed.is_file() else None


def table(path: Path, columns: Sequence[int], encoding: str, headings: Sequence[tuple[str, str]] = ()) -> PairTexts:
    """Pairs from a file of tab-separated columns.

    Args:
        path: the file.
        columns: numbers of the columns with source and target.
        encoding: of the file.
        headings: names of source and target, of which a first line is no pair but a head.

    Raises:
        UserError: when it cannot be read, a line has too few columns, or the first one gives the columns other names.
    """
    texts = PairTexts([], [], [])
    for number, row in _rows(path, encoding):
        if number == 1 and _is_head(path, row, columns, headings):
            continue
        fields = row or [""] * max(columns)  # a blank line is a pair with empty sides
        if len(fields) < max(columns):
            missing = "has no tab" if len(fields) == 1 else f"has {len(fields)} columns"
            raise UserError(
                f"{path}:{number}: the line {missing}, and the pair is in columns {columns[0]} and {columns[1]} "
                "(data.columns): separate the sentences by a tab"
            )
        texts.source.append(fields[columns[0] - 1].strip())
        texts.target.append(fields[columns[1] - 1].strip())
        texts.places.append(f"{path}:{number}")
    if not texts.source:
        raise UserError(f"{path} is empty: give a file with a pair a line")
    return texts


def _rows(path: Path, encoding: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the fields of each line of a table, with its number; none of a blank one."""
    text = text_of(path, encoding)
    if is_quoted(text):
        reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t")
        start = 1
        for row in reader:
            yield start, row if any(cell.strip() for cell in row) else []
            start = reader.line_num + 1
        return
    for number, line in enumerate(lines_in(text), 1):
        yield number, line.split("\t") if line.strip() else []


def _is_head(path: Path, fields: Sequence[str], columns: Sequence[int], headings: Sequence[tuple[str, str]]) -> bool:
    """Tell whether the first line of a table names its columns.

    Raises:
        UserError: they are others than those that are taken.
    """
    names = [field.strip().casefold() for field in fields]
    for heading in headings:
        places = [names.index(name.casefold()) + 1 if name.casefold() in names else 0 for name in heading]
        if places == list(columns):
            return True
        if all(places):
            raise UserError(
                f"{path}:1: {heading[0]} is column {places[0]} and {heading[1]} column {places[1]}, and data.columns="
                f"[{columns[0]},{columns[1]}]: set data.columns=[{places[0]},{places[1]}]"
            )
    return _names_languages(path, fields, columns, headings)


def _names_languages(
    path: Path, fields: Sequence[str], columns: Sequence[int], headings: Sequence[tuple[str, str]]
) -> bool:
    """Tell whether the first line of a table names two or more languages, `english` and `german`, and so no pair.

    Raises:
        UserError: they are of other columns than are taken, or other languages than were said.
    """
    places = languages_of(fields)
    if len(places) < 2:
        return False
    named = ", ".join(f"{fields[place - 1].strip()} (column {place})" for place in places.values())
    codes = [code_of(name) for name in headings[0]] if headings and headings[0] not in _SIDES else []
    if all(codes) and not set(codes) <= places.keys():
        raise UserError(
            f"{path}:1: the columns are called {named}, and data.languages=[{','.join(headings[0])}]: name those that are there"
        )
    wanted = [places[code] for code in codes] if codes and all(codes) else []
    if list(columns) == wanted or (not wanted and (set(columns) <= set(places.values()) or list(columns) != [1, 2])):
        return True  # columns that were chosen are what is meant, whatever their names
    first, second, *_ = wanted or places.values()
    raise UserError(
        f"{path}:1: the columns are called {named}, and data.columns=[{columns[0]},{columns[1]}]: set data.columns=[{first},{second}]"
    )


def parallel(source: Path, target: Path, encoding: str) -> PairTexts:
    """Pairs from two files, line by line.

    Raises:
        UserError: when one cannot be read, or they have unequally many lines.
    """
    sides = [[line.strip() for line in lines_of(path, encoding)] for path in (source, target)]
    if len(sides[0]) != len(sides[1]):
        longer, shorter = (source, target) if len(sides[0]) > len(sides[1]) else (target, source)
        least = min(map(len, sides))
        raise UserError(
            f"{longer}:{least + 1}: the line has no counterpart, {shorter} ends with line {least}: mend them"
        )
    if not sides[0]:
        raise UserError(f"{source} is empty: give a file with a sentence a line")
    return PairTexts(sides[0], sides[1], [f"{source}:{number}" for number in range(1, len(sides[0]) + 1)])
