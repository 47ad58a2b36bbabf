"""Pairs of sentences in two languages: what every such dataset shares, from the lines of a file to tokens."""

from __future__ import annotations

import logging
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch.utils.data import Dataset

from experiments.batches import Sequences, pad
from experiments.config.value_rules import require_amount, require_values
from experiments.data.common.sequence_data import SequenceData
from experiments.data.common.split_names import SPLITS
from experiments.data.common.splits import fingerprint
from experiments.data.pairs.language_marks import LanguageMarks
from experiments.data.pairs.pair_store import PairStore, StoredPairs
from experiments.data.pairs.pair_texts import PairTexts, hold_out_pairs, without_repeats
from experiments.data.text import tokens
from experiments.data.text.text_data import is_blank
from experiments.errors import UserError
from experiments.spec import PairSpec

log = logging.getLogger(__name__)
CLOSING = re.compile(r"\s+([.,!?;:।॥…])")


class NewSentences(NamedTuple):
    """New sentences, ready for a model, with what turns its answers into text.

    Attributes:
        source: (B, S) tokens.
        texts: the sentences.
        decode: rows of target tokens to text.
        pieces: the tokens of a row as they are written; of the target where its second argument is true.
    """

    source: Sequences
    texts: list[str]
    decode: Callable[[Sequence[Sequence[int]]], list[str]]
    pieces: Callable[[Sequence[int], bool], list[str]]


class PairData(SequenceData):
    """Base of the sentence pairs: a subclass says how to `read` its files.

    A sentence stands in one split alone: a training pair, one of whose sentences is also in the validation or test
    split, is left out and counted; so is a validation pair that shares one with the test split. Sentences that differ in
    capitals, in spaces or in the signs at their ends count as the same one.

    Args:
        tokenizers: `source` and `target`, each with `kind`, `size`, `min_count` and `lowercase` as in `tokens.Rule`,
            `file`, where the run keeps it, and `source`, a file that is taken in place of fitting; `shared`, whether
            one by the source's keys serves both; and the numbers of the tokens `start`, which a decoder reads first,
            `first`, which it writes before all else, and `end`: None for those of `languages` or the tokenizer.
        max_length: training pairs with more tokens on a side are left out and counted; None: none.
        cut: tokens that a sentence of any split has at most, with those around it; the end of a longer one is left away, and
            counted. None: any number.
        empty: error, or drop: what happens to a pair with an empty side.
        validation: share or count held out from the training pairs where the dataset has no validation split.
        test: likewise for the test split; None where the dataset always has one.
        limit: use only so many training pairs, or this share of them; None: all.
        prefix: words before every source text that tell the model its task, as T5 reads them.
        batch_size: as in `SequenceData`, and so are the others.
        max_tokens: as there; of the longer side.
        bucket: as there.
        workers: as there.
        seed: as there.
        split_seed: decides what is held out and what is kept by `limit`; the same in every run.

    Raises:
        UserError: a value is out of range, a file is missing or damaged, a side is empty, a split is.
    """

    name = "pairs"
    languages: tuple[str, str] = ("source", "target")

    def __init__(
        self,
        *,
        tokenizers: Mapping[str, Any],
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
        prefix: str = "",
        cut: int | None = None,
    ) -> None:
        super().__init__(batch_size=batch_size, max_tokens=max_tokens, bucket=bucket, workers=workers, seed=seed)
        self.rules = [tokens.Rule.of(tokenizers[side], f"data.tokenizers.{side}") for side in ("source", "target")]
        self.files = [Path(tokenizers[side]["file"]) for side in ("source", "target")]
        self.taken = [tokenizers[side].get("source") for side in ("source", "target")]
        self.shared = bool(tokenizers["shared"])
        self.ends = [tokenizers.get(key) for key in ("start", "end")]
        self.given_first = tokenizers.get("first")
        require_values("pair", max_length=max_length, empty=empty, cut=cut)
        for key, amount in (("validation", validation), ("test", test)):
            if amount is not None:
                require_amount(f"data.{key}", amount)
        require_amount("data.limit", limit)
        self.max_length, self.empty, self.limit, self.longest = max_length, empty, limit, cut
        self.amounts = {"test": test, "validation": validation}
        self.split_seed = split_seed
        self.prefix = f"{prefix.strip()} " if prefix and prefix.strip() else ""
        self.texts: dict[str, PairTexts] = {}
        self._tokenizers: list[Any] = []
        self.language_marks: LanguageMarks | None = None

    def read(self) -> dict[str, PairTexts]:
        """Return the splits: `train`, and `validation` and `test` where the dataset has them."""
        raise NotImplementedError

    def load(self) -> None:
        read = self.read()
        by_split = {split: self.without_empty(texts) for split, texts in read.items()}
        counts = {"dropped": sum(len(read[split].source) - len(by_split[split].source) for split in read)}
        for split, amount in self.amounts.items():
            if split not in by_split and amount is not None:
                by_split["train"], by_split[split] = hold_out_pairs(
                    by_split["train"], amount, self.split_seed, f"data.{split}"
                )
        counts["repeated"] = without_repeats(by_split)
        by_split["train"] = self._limited(by_split["train"])
        for split in SPLITS:
            if not by_split[split].source:
                raise UserError(f"{self.name}: the {split} split is empty, and needs at least one pair: hold out less.")
        self.texts = by_split
        counts |= {"too_long": 0, "cut": 0}
        unknown = []
        for split in SPLITS:
            sides = []
            for side in (0, 1):
                rows, shortened = self._encode(side, by_split[split])
                sides.append(rows)
                counts["cut"] += shortened
            if split == "train" and self.max_length is not None:
                fit = [
                    row for row, pair in enumerate(zip(*sides, strict=True)) if max(map(len, pair)) <= self.max_length
                ]
                if not fit:
                    raise UserError(f"data.max_length={self.max_length} leaves no training pair: allow more tokens")
                counts["too_long"] = len(by_split[split].source) - len(fit)
                self.texts[split] = by_split[split].take(fit)
                sides = [[side[row] for row in fit] for side in sides]
            store = PairStore.of(sides[0], [[*self.first, *row] for row in sides[1]], *self.marks[2:])
            self.sets[split] = store
            unknown = [round(float(np.mean(side == self.marks[1])), 4) for side in (store.source, store.target)]
        self.describe()
        self.splits = {split: len(self.sets[split].lengths) for split in SPLITS}
        self.splits["fingerprint"] = fingerprint(
            (
                split,
                np.array([zlib.crc32("\t".join(pair).encode()) for pair in zip(*self.texts[split][:2], strict=True)]),
            )
            for split in SPLITS
        )
        self.splits |= counts | {"unknown": unknown[0], "unknown_target": unknown[1]}  # shares of test tokens
        for share in unknown:
            tokens.warn_of_unknown(self.name, share)
        self._tell(counts)

    def describe(self) -> None:
        """Set `spec`; without examples, that of single sentences of unknown length."""
        stores = self.sets.values()
        train = self.sets.get("train")
        self.spec = PairSpec(
            vocabulary=self.tokenizers[0].get_vocab_size(),
            target_vocabulary=self.tokenizers[1].get_vocab_size(),
            shared=self.shared,
            length=int(np.median(train.source_lengths)) if train else 1,
            target_length=int(np.median(train.target_lengths)) + 1 if train else 1,
            longest=max((int(store.source_lengths.max()) for store in stores), default=1),
            target_longest=max((int(store.target_lengths.max()) for store in stores), default=0) + 1,
            languages=tuple(self.languages),
            marks=self.marks,
            first=self.first,
        )

    def _tell(self, counts: Mapping[str, int]) -> None:
        """What was left out, in a line each."""
        for key, why in (
            ("dropped", "have an empty side (data.empty=drop)"),
            ("repeated", "share a sentence with the validation or test split"),
            ("too_long", f"of the training split are longer than data.max_length={self.max_length}"),
        ):
            if counts[key]:
                log.warning("%s: %d pairs were left out: they %s.", self.name, counts[key], why)
        if counts["cut"]:
            log.warning("%s: sentences of more than %d tokens were cut: %d.", self.name, self.longest, counts["cut"])

    @property
    def tokenizers(self) -> list[Any]:
        """The run's tokenizers, of source and target; fitted on the training split if the run has none yet."""
        if not self._tokenizers:
            train, needed = self.texts.get("train"), self.taken[:1] if self.shared else self.taken
            if all(file.is_file() for file in self.files):
                self._tokenizers = [tokens.read(file) for file in self.files]
            elif train is None and None in needed:
                missing = next(file for file in self.files if not file.is_file())
                raise UserError(f"{missing} is missing: restore it, or train again")
            else:
                both = [self._sources(train.source), train.target] if train else [[], []]
                both = [both[0] + both[1]] if self.shared else both
                made = [self._taken_or_fitted(side, texts) for side, texts in enumerate(both)]
                self._tokenizers = made * 2 if self.shared else made
            self._mark_languages()
        return self._tokenizers

    def _mark_languages(self) -> None:
        """Take over which tokens stand for the languages, where the tokenizer has such."""
        self.language_marks = LanguageMarks.of(self._tokenizers[0]) if self.shared else None
        if self.language_marks is not None:
            ends = (self.marks[2], self.given_first, self.marks[3])
            self.ends[0], self.given_first = self.language_marks.settle(self._tokenizers[0], self.languages, *ends)

    @property
    def first(self) -> tuple[int, ...]:
        """Tokens that every translation begins with, behind the start."""
        return () if self.given_first is None else (int(self.given_first),)

    def _taken_or_fitted(self, side: int, texts: Sequence[str]) -> Any:
        name, place = f"data.tokenizers.{('source', 'target')[side]}", self.taken[side]
        if place is None:
            return tokens.fit(self.rules[side], texts, name)
        taken = tokens.borrow(place, f"{name}.source")
        if self.ends == [None, None] and tokens.marks(taken) != tuple(range(4)):
            raise UserError(
                f"{name}.source={place} has padding, unknown, start and end elsewhere than in its first four tokens: name the "
                "file of a run of translation"
            )
        return taken

    @property
    def marks(self) -> tuple[int, ...]:
        """Of the target: the tokens for padding, what is unknown, start and end."""
        own = tokens.marks(self.tokenizers[1])
        ends = (mine if given is None else int(given) for mine, given in zip(own[2:], self.ends, strict=True))
        return (*own[:2], *ends)

    def dataset(self, split: str) -> Dataset:
        return StoredPairs(self.sets[split])

    def keep(self, folder: Path) -> None:
        """Write what a later prediction needs into the run's folder."""
        for tokenizer, file in zip(self.tokenizers, self.files, strict=True):
            tokens.keep(tokenizer, folder / file.name)

    def prepare(self, texts: Sequence[str]) -> NewSentences:
        """Return new sentences of the source language as the model would get them.

        Raises:
            UserError: when one has no word.
        """
        for number, text in enumerate(texts, 1):
            if is_blank(text):
                raise UserError(f"sentence {number} is empty: give a sentence with a word in it")
        read = self._sources(texts)
        rows, shortened = self._cut(read, tokens.encode(self.tokenizers[0], read))
        if shortened:
            log.warning("sentences of more than %d tokens were cut: %d.", self.longest, shortened)
        return NewSentences(pad(rows), list(texts), self.decode, self.pieces)

    def decode(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """Target tokens as text; words are put together by spaces, but signs follow them as they do in writing."""
        tokenizer = self.tokenizers[1]
        marks = set(self.language_marks.by_code.values()) if self.language_marks else set()
        texts = tokens.decode(tokenizer, [[token for token in row if token not in marks] for row in rows])
        rule = self.rules[0] if self.shared else self.rules[1]
        return [CLOSING.sub(r"\1", text) for text in texts] if rule.kind == "word" else texts

    def pieces(self, row: Sequence[int], target: bool) -> list[str]:
        """Return the tokens of a sentence as they are written, for a picture."""
        tokenizer = self.tokenizers[int(target)]
        return [str(tokenizer.id_to_token(token)).replace("▁", "") or "▁" for token in row]

    def without_empty(self, texts: PairTexts) -> PairTexts:
        """Return the pairs that have words on both sides.

        Raises:
            UserError: when one has not, and such are not to be dropped.
        """
        full = [
            not is_blank(source) and not is_blank(other)
            for source, other in zip(texts.source, texts.target, strict=True)
        ]
        if all(full):
            return texts
        if self.empty == "error":
            first = full.index(False)
            side = self.languages[0] if is_blank(texts.source[first]) else self.languages[1]
            raise UserError(
                f"{texts.places[first]}: the {side} side is empty ({full.count(False)} such); "
                "set data.empty=drop to leave such pairs out"
            )
        return texts.take(row for row, good in enumerate(full) if good)

    def _limited(self, texts: PairTexts) -> PairTexts:
        if self.limit is None:
            return texts
        count = len(texts.source)
        wanted = max(1, round(self.limit * count)) if isinstance(self.limit, float) else self.limit
        if wanted > count:
            raise UserError(f"data.limit={self.limit} is more than the {count} training pairs; null takes all.")
        order = np.random.default_rng([self.split_seed, zlib.crc32(b"data.limit")]).permutation(count)
        return texts.take(np.sort(order[:wanted]).tolist())

    def _sources(self, texts: Sequence[str]) -> list[str]:
        """Source texts as the model reads them, with the prefix before each."""
        return [f"{self.prefix}{text}" for text in texts]

    def _cut(self, texts: Sequence[str], rows: list[list[int]]) -> tuple[list[list[int]], int]:
        """Rows of source tokens that are no longer than `cut`, and how many were."""
        return tokens.cut(self.tokenizers[0], texts, rows, self.longest)

    def _encode(self, side: int, texts: PairTexts) -> tuple[list[list[int]], int]:
        """Return the tokens of one side, and how many sentences were cut."""
        read = list(texts.target) if side else self._sources(texts.source)
        tokenizer = self.tokenizers[side]
        framed = not side or self.language_marks is None  # what stands around a target is no mark of the source
        rows, shortened = tokens.encode(tokenizer, read, framed), 0
        if side:  # the end comes with the batch
            rows = [row[:-1] if row and row[-1] == self.marks[3] else row for row in rows]
            before = [*self.first]
            rows = [row[len(before) :] if before and row[: len(before)] == before else row for row in rows]
            if self.longest is not None:
                room = self.longest - 1 - len(self.first)  # the start takes a place as well
                shortened = sum(len(row) > room for row in rows)
                rows = [row[:room] for row in rows]
        else:
            rows, shortened = self._cut(read, rows)
        for row, place in zip(rows, texts.places, strict=True):
            if not row:
                raise UserError(f"{place}: nothing of the {self.languages[side]} side is a token: mend or remove it")
        return rows, shortened
