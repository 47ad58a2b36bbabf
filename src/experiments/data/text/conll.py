"""Files with a word and its label in each line, and an empty line between sentences: CoNLL's, CoNLL-U's, and JSON lines.

Tjong Kim Sang and De Meulder, "Introduction to the CoNLL-2003 shared task" (2003); Universal Dependencies, "CoNLL-U format".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from experiments.data.common.json_lines import read_object
from experiments.data.text.text_data import is_blank, lines_of
from experiments.data.text.word_data import Sentences, WordData
from experiments.errors import UserError, unknown

CONLLU = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
JSON = (".jsonl", ".ndjson")
_BEGINNING = "-DOCSTART-"  # of a document, in the files of 2003


class Conll(WordData):
    """Reads labelled words from a file, and the other splits from others where there are such.

    Args:
        path: the file with the training split; columns between tabs or blanks, or JSON lines; packed where it ends in .gz. Or a
            folder with files whose names hold train, and perhaps dev, valid or test.
        validation_path: file with the validation split, or None to hold one out.
        test_path: likewise of the test split.
        word: number of the column with the words, from 0, or from -1 backwards; in JSON lines the key of the list.
        label: of the column with the labels, likewise.
        encoding: of the files.
        rest: the keys of `WordData`.

    Raises:
        UserError: when a line lacks a column, or a sentence has more labels than words.
    """

    name = "conll"

    def __init__(
        self,
        *,
        path: str,
        validation_path: str | None,
        test_path: str | None,
        word: int | str,
        label: int | str,
        encoding: str,
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        given = {"train": path, "validation": validation_path, "test": test_path}
        if Path(path).expanduser().is_dir():
            inside = files_of_splits(Path(path).expanduser())
            given = {split: place or inside.get(split) for split, place in (given | {"train": None}).items()}
        self.paths = {split: Path(place).expanduser() for split, place in given.items() if place is not None}
        self.columns, self.encoding = (word, label), encoding

    def read_sentences(self) -> dict[str, Sentences]:
        return {split: self._read(path) for split, path in self.paths.items()}

    def _read(self, path: Path) -> Sentences:
        if any(suffix in JSON for suffix in path.suffixes):
            return _json_lines(path, self.encoding, *(str(number) for number in self.columns))
        for key, column in zip(("word", "label"), self.columns, strict=True):
            if not isinstance(column, int):
                raise UserError(f"data.{key}={column} names no column by number: set data.{key}=0 for the first")
        words, labels = (int(number) for number in self.columns)
        return gathered(path, self._fields(path), words, labels)

    def _fields(self, path: Path) -> Iterator[tuple[int, list[str]]]:
        """Number and fields of each line; none of an empty one."""
        for number, line in enumerate(lines_of(path, self.encoding), 1):
            if line.startswith(_BEGINNING):
                continue
            if "\t" in line and line.strip() and is_blank(line.partition("\t")[0]):
                raise UserError(f"{path}:{number}: the first column is empty: give it a word, or remove the line")
            yield number, [cell for cell in line.split("\t") if cell.strip()] if "\t" in line else line.split()


class Conllu(Conll):
    """Reads words and one of their columns from CoNLL-U: comments, words of several parts and empty nodes left out.

    Args:
        label: upos, xpos, feats or deprel.
        rest: the keys of `Conll`.

    Raises:
        UserError: when a line has not ten columns.
    """

    name = "conllu"

    def __init__(self, *, label: str, **rest: Any) -> None:
        if label not in ("upos", "xpos", "feats", "deprel", "lemma"):
            raise UserError(unknown(f"data.label={label}", "no column of CoNLL-U with labels", str(label), CONLLU[2:8]))
        super().__init__(word=CONLLU.index("form"), label=CONLLU.index(label), **rest)

    def _fields(self, path: Path) -> Iterator[tuple[int, list[str]]]:
        for number, line in enumerate(lines_of(path, self.encoding), 1):
            if line.startswith("#"):
                continue
            fields = line.split("\t") if line.strip() else []
            if fields and len(fields) != len(CONLLU):
                raise UserError(
                    f"{path}:{number}: {len(fields)} columns where CoNLL-U has ten, between tabs: mend the line"
                )
            if (
                fields and not fields[0].isdecimal()
            ):  # 3-4 stands for two words that follow, 3.1 for one that is not said
                continue
            yield number, fields


def files_of_splits(folder: Path) -> dict[str, str]:
    """Return the file of each split in a folder, by train, dev or valid, and test in its name.

    Raises:
        UserError: when there is not one file with train in its name, or several of another split.
    """
    files = [
        path for path in sorted(folder.glob("[!.]*")) if path.is_file() and path.suffix.lower() not in (".md", ".rst")
    ]
    paths: dict[str, str] = {}
    for split, words in (("train", ("train",)), ("validation", ("dev", "valid")), ("test", ("test",))):
        some = [path for path in files if any(word in path.name.lower() for word in words)]
        if len(some) > 1 or (split == "train" and not some):
            raise UserError(
                f"data.path={folder} holds {len(some)} files with {words[0]} in their names: name the file with the {split} split"
            )
        if some:
            paths[split] = str(some[0])
    return paths


def gathered(path: Path, lines: Iterator[tuple[int, list[str]]], word: int, label: int) -> Sentences:
    """Sentences of lines of columns; a line without any ends one.

    Raises:
        UserError: when a line lacks a column, or there is no sentence.
    """
    sentences = Sentences([], [], [])
    ended = True
    for number, fields in lines:
        if not fields:
            ended = True
            continue
        for key, column in (("word", word), ("label", label)):
            if not -len(fields) <= column < len(fields) or (len(fields) == 1 and key == "label" and word != label):
                raise UserError(
                    f"{path}:{number}: {len(fields)} column{'s' if len(fields) > 1 else ''}, and data.{key}={column} is "
                    "none of them: mend the line, or set data.word and data.label"
                )
        if ended:
            sentences.words.append([])
            sentences.tags.append([])
            sentences.places.append(f"{path}:{number}")
            ended = False
        sentences.words[-1].append(fields[word])
        sentences.tags[-1].append(fields[label])
    if not sentences.words:
        raise UserError(f"{path} holds no sentence: name a file with a word and its label in each line")
    return sentences


def _json_lines(path: Path, encoding: str, word: str, label: str) -> Sentences:
    """Return one object a line, with a list of words and one of labels."""
    sentences = Sentences([], [], [])
    for number, line in enumerate(lines_of(path, encoding), 1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        record = read_object(line, place)
        names = list(record)
        keys = [
            _key(record, *given) for given in ((word, ("tokens", "words")), (label, ("tags", "ner_tags", "labels")))
        ]
        for key, wanted in zip(keys, ("word", "label"), strict=True):
            if key is None or not isinstance(record[key], list):
                raise UserError(
                    f"{place}: no list of {wanted}s among {', '.join(names) or 'its values'}: set data.{wanted}"
                )
        words, tags = ([str(item) for item in record[key]] for key in keys if key is not None)
        if len(words) != len(tags):
            raise UserError(f"{place}: {len(words)} words and {len(tags)} labels: give each word one")
        if words:
            sentences.words.append(words)
            sentences.tags.append(tags)
            sentences.places.append(place)
    return sentences


def _key(record: Any, given: str, usual: Sequence[str]) -> str | None:
    """Return the key that was given, or a usual one where a number stands for a column."""
    wanted = usual if given.lstrip("-").isdecimal() else [given]
    return next((name for name in wanted if name in record), None)
