"""Texts with one label each: what every such dataset shares, from the lines of a file to tokens."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch.utils.data import Dataset

from experiments.batches import Sequences, pad
from experiments.config.value_rules import require_amount, require_values
from experiments.data.common.packed import unpacked
from experiments.data.common.sequence_data import SequenceData, Store
from experiments.data.common.split_names import SPLITS
from experiments.data.common.splits import fingerprint, hold_out, keep
from experiments.data.text import tokens
from experiments.data.text.pairs_apart import ApartStore, StoredApart, joined
from experiments.data.text.tokens import Text
from experiments.errors import UserError, first_line
from experiments.spec import TextSpec

log = logging.getLogger(__name__)


class Texts(NamedTuple):
    """Labelled texts of one file or split.

    Attributes:
        lines: the texts, or pairs of texts.
        labels: (N,) int64 class indices, or (N, 1) float32 numbers.
        places: `file:line` of each, for messages.
    """

    lines: list[Any]
    labels: np.ndarray
    places: list[str]

    def take(self, members: np.ndarray) -> Texts:
        """Return some of them."""
        some = members.tolist()
        return Texts([self.lines[row] for row in some], self.labels[members], [self.places[row] for row in some])

    @classmethod
    def join(cls, several: Sequence[Texts]) -> Texts:
        """Return all of several."""
        lines = [line for part in several for line in part.lines]
        places = [place for part in several for place in part.places]
        return cls(lines, np.concatenate([part.labels for part in several]), places)


class TextData(SequenceData):
    """Base of the labelled texts: a subclass says how to `read` its files.

    Args:
        tokenizer: `kind`, `size`, `min_count`, `lowercase` and `ends` as in `tokens.Rule`; `source`, a folder whose
            tokenizer.json is taken in place of a fitted one; and `file`, where the run keeps it: one that is there is
            used as it is.
        max_length: tokens that a text, or a pair of them, is cut to, from its beginning; None: never.
        empty: error, or drop: what happens to a text without a word.
        validation: share or count held out from the training texts where the dataset has no validation split.
        test: likewise for the test split; None where the dataset always has one.
        limit: use only so many training texts, evenly over the classes, or this share of each class; None: all.
        batch_size: as in `SequenceData`, and so are the others.
        max_tokens: as there.
        bucket: as there.
        workers: as there.
        seed: as there.
        split_seed: decides who is held out and who is kept by `limit`; the same in every run.
        apart: whether the texts of a pair are two rows, in place of one with a mark between them.
        root: folder where datasets live, or the dataset itself.

    Raises:
        UserError: a value is out of range, a file is missing or damaged, a text is empty, a split or class is.
    """

    name = "text"
    paired = False  # whether an example is a pair of texts

    def __init__(
        self,
        *,
        tokenizer: Mapping[str, Any],
        max_length: int | None,
        empty: str,
        validation: float,
        test: float | None,
        limit: float | None,
        batch_size: int,
        max_tokens: int | None,
        bucket: bool,
        workers: int,
        seed: int,
        split_seed: int = 0,
        apart: bool | None = None,
        root: str | None = None,
    ) -> None:
        super().__init__(batch_size=batch_size, max_tokens=max_tokens, bucket=bucket, workers=workers, seed=seed)
        self.rule = tokens.Rule.of(tokenizer)
        self.file, self.source = Path(tokenizer["file"]), tokenizer.get("source")
        require_values("text", max_length=max_length, empty=empty)
        for key, amount in (("validation", validation), ("test", test)):
            if amount is not None:
                require_amount(f"data.{key}", amount)
        require_amount("data.limit", limit)
        self.max_length, self.empty, self.limit = max_length, empty, limit
        self.amounts = {"test": test, "validation": validation}
        self.split_seed, self.root, self.apart = split_seed, root, bool(apart)
        self.texts: dict[str, Texts] = {}
        self._tokenizer: Any = None

    def read(self) -> tuple[tuple[str, ...], dict[str, Texts]]:
        """Class names; and the splits: `train`, and `validation` and `test` where the dataset has them."""
        raise NotImplementedError

    def load(self) -> None:
        classes, read = self.read()
        whole = {split: self._without_empty(texts) for split, texts in read.items()}
        dropped = sum(len(read[split].lines) - len(whole[split].lines) for split in read)
        origin = {split: (split, np.arange(len(texts.lines))) for split, texts in whole.items()}
        train, labels = origin["train"][1], whole["train"].labels
        strata = labels if classes else np.zeros(len(labels), np.int64)
        for split, amount in self.amounts.items():
            if split not in origin and amount is not None:
                rest, held = hold_out(strata[train], amount, self.split_seed, f"data.{split}")
                train, origin[split] = train[rest], ("train", train[held])
        if self.limit is not None:
            train = train[keep(strata[train], self.limit, self.split_seed)]
        origin["train"] = ("train", train)
        self.texts = {split: whole[origin[split][0]].take(origin[split][1]) for split in SPLITS}
        counts = np.bincount(self.texts["train"].labels, minlength=len(classes)) if classes else np.ones(1)
        if not counts.all():
            lost = classes[int(np.argmin(counts))]
            raise UserError(f"{self.name}: class {lost} has no training example left; hold out fewer or add texts.")
        cut = 0
        for split, texts in self.texts.items():
            self.sets[split], longer = self._stored(texts)
            cut += longer
        length = int(np.median(self.sets["train"].lengths))
        longest = max(int(store.lengths.max()) for store in self.sets.values())
        self.describe(length, longest, classes, 0 if classes else self.texts["train"].labels.shape[1])
        marks = tokens.marks(self.tokenizer)
        self.splits = {split: len(self.sets[split].lengths) for split in SPLITS}
        self.splits["fingerprint"] = fingerprint(
            (f"{split} of {origin[split][0]}", origin[split][1]) for split in SPLITS
        )
        self.splits |= {"dropped": dropped, "cut": cut}
        self.splits["unknown"] = round(float(np.mean(self.sets["test"].values == marks[1])), 4)  # share of test tokens
        tokens.warn_of_unknown(self.name, self.splits["unknown"])
        if cut:
            log.warning("%s: texts of more than %d tokens were cut: %d.", self.name, self.max_length, cut)
        if dropped:
            log.warning("%s: texts without a word were left out (data.empty=drop): %d.", self.name, dropped)

    def describe(self, length: int = 1, longest: int = 1, classes: tuple[str, ...] = (), values: int = 0) -> None:
        """Set `spec`, of which the tokenizer alone decides what is not given."""
        marks, hides = tokens.marks(self.tokenizer), tokens.mask(self.tokenizer)
        self.spec = TextSpec(
            vocabulary=self.tokenizer.get_vocab_size(),
            length=length,
            longest=longest,
            classes=classes,
            values=values,
            mask=hides,
            special=tuple(sorted({*marks, *(() if hides is None else (hides,))} - {-1})),
            marks=marks if tokens.frames(self.tokenizer) else (),
            apart=self.apart,
        )

    @property
    def tokenizer(self) -> Any:
        """The run's tokenizer; taken from elsewhere, or fitted on the training split, if the run has none yet."""
        if self._tokenizer is None:
            if self.file.is_file():
                self._tokenizer = tokens.read(self.file)
            elif self.source:
                self._tokenizer = tokens.borrow(self.source)
            elif "train" in self.texts:
                lines = self.texts["train"].lines
                each = [text for line in lines for text in ([line] if isinstance(line, str) else line)]
                self._tokenizer = tokens.fit(replace(self.rule, ends=self.rule.ends or self.paired), each)
            else:
                raise UserError(f"{self.file} is missing: restore it, or train again")
        return self._tokenizer

    def keep(self, folder: Path) -> None:
        """Write what a later prediction needs into the run's folder."""
        tokens.keep(self.tokenizer, folder / self.file.name)

    def prepare(self, texts: Sequence[Any]) -> Sequences:
        """Return new texts as the model would get them; a pair is two texts, or one with a tab or ` ||| ` between them.

        Raises:
            UserError: when one has no word, or a pair no second text.
        """
        given = [self._pair(text, number) if self.paired else text for number, text in enumerate(texts, 1)]
        for number, text in enumerate(given, 1):
            if is_blank(text):
                raise UserError(f"text {number} is empty: give a text with a word in it")
        if self.apart:
            return joined(*(self._padded([pair[side] for pair in given]) for side in (0, 1)))
        return self._padded(given)

    def _padded(self, texts: Sequence[Text]) -> Sequences:
        hides = any(isinstance(text, str) and ("[MASK]" in text or "<mask>" in text) for text in texts)
        rows = tokens.encode_masked(self.tokenizer, [str(text) for text in texts]) if hides else tokens.encode(self.tokenizer, texts)  # fmt: skip
        rows, shortened = tokens.cut(self.tokenizer, texts, rows, self.max_length)
        if shortened:
            log.warning("texts of more than %d tokens were cut: %d.", self.max_length, shortened)
        return pad(rows)

    @staticmethod
    def _pair(text: Any, number: int) -> Text:
        if not isinstance(text, str):
            return tuple(text)
        first, between, second = text.partition("\t" if "\t" in text else "|||")
        if not between:
            raise UserError(f"text {number} is no pair: write the two texts with ||| between them")
        return first.strip(), second.strip()

    def tails(self, sentences: Sequence[str], pair: bool) -> list[list[int]]:
        """Return the tokens that some sentences add behind a text; of a `pair`, those behind a text that is the first
        of two.

        Raises:
            UserError: when nothing of a sentence is a token.
        """
        marks = set(tokens.marks(self.tokenizer))
        for sentence, row in zip(sentences, tokens.encode(self.tokenizer, list(sentences)), strict=True):
            if set(row) <= marks:
                raise UserError(
                    f"nothing of '{sentence}' is a token: choose other words in task.labels or task.template"
                )
        return tokens.tails(self.tokenizer, sentences, pair)

    def decode(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """Return the texts of some tokens."""
        return tokens.decode(self.tokenizer, rows)

    def word_starts(self) -> tuple[list[bool], list[bool]]:
        """Of each token, whether a word begins with it, and whether one begins behind it."""
        return tokens.word_starts(self.tokenizer)

    def pieces(self, row: Sequence[int]) -> list[str]:
        """Return the tokens of a text, one by one, for pictures."""
        return [self.tokenizer.id_to_token(token) for token in row]

    def _without_empty(self, texts: Texts) -> Texts:
        blank = np.array([is_blank(line) for line in texts.lines], bool)
        if blank.any() and self.empty == "error":
            first = texts.places[int(np.argmax(blank))]
            raise UserError(
                f"{first}: the text is empty ({int(blank.sum())} such); set data.empty=drop to leave them out"
            )
        return texts.take(np.flatnonzero(~blank)) if blank.any() else texts

    def dataset(self, split: str) -> Dataset:
        return StoredApart(self.sets[split]) if self.apart else super().dataset(split)

    def _stored(self, texts: Texts) -> tuple[Store | ApartStore, int]:
        """Return the tokens and targets of a split, and how many texts were cut."""
        if self.apart:
            sides = [texts._replace(lines=[pair[side] for pair in texts.lines]) for side in (0, 1)]
            firsts, seconds = (self._stored_rows(side, False) for side in sides)
            return ApartStore(firsts[0], seconds[0]), firsts[1] + seconds[1]
        return self._stored_rows(texts, self.paired)

    def _stored_rows(self, texts: Texts, pair: bool) -> tuple[Store, int]:
        tokens.require_room(self.tokenizer, self.max_length, pair)
        rows, cut = tokens.cut(self.tokenizer, texts.lines, self._encode(texts, pair), self.max_length)
        return Store.of(rows, texts.labels), cut

    def _encode(self, texts: Texts, pair: bool) -> list[list[int]]:
        rows = tokens.encode(self.tokenizer, texts.lines)
        around = tokens.frames(self.tokenizer, pair)
        for row, place in zip(rows, texts.places, strict=True):
            if len(row) <= around:
                raise UserError(f"{place}: nothing of the text is a token: mend or remove it")
        return rows


def is_blank(text: Text) -> bool:
    """Tell whether a text, or one of a pair, has nothing to read."""
    if not isinstance(text, str):
        return any(map(is_blank, text))
    return not any(letter.isprintable() and not letter.isspace() for letter in text)


def lines_of(path: Path, encoding: str = "utf-8") -> list[str]:
    """Return the lines of a text file; only a newline ends a line, since old texts hold other separators within one.

    Raises:
        UserError: when the file is missing, or not in that encoding.
    """
    return lines_in(text_of(path, encoding))


def lines_in(text: str) -> list[str]:
    """Return the lines of a text, without the empty one behind its last newline."""
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def text_of(path: Path, encoding: str = "utf-8") -> str:
    """Return a text file, compressed where its name ends in .gz.

    Raises:
        UserError: when it is missing, or not in that encoding.
    """
    try:
        content = unpacked(path)
    except (EOFError, ValueError, zlib.error) as error:
        raise UserError(f"{path} is damaged ({first_line(error)}): fetch it again") from error
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror or first_line(error)}): name the file or folder with the data"
        ) from error
    try:
        return content.decode(encoding).removeprefix("\ufeff").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        other = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin-1"
        raise UserError(
            f"{path}:{line}: byte {content[error.start]:#x} is not {encoding}: set data.encoding, for instance to {other}"
        ) from error
    except LookupError as error:
        raise UserError(f"data.encoding={encoding} is unknown: use utf-8 or latin-1") from error
