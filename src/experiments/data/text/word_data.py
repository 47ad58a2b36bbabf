"""Sentences whose every word has a label, such as entities or parts of speech: what every such dataset shares.

A word's label stands at its first token; the other tokens of the word, and those around a sentence, are judged by nobody.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.batches import IGNORED, Words, pad
from experiments.data.common.sequence_data import Store
from experiments.data.common.split_names import SPLITS
from experiments.data.common.splits import fingerprint, hold_out, keep
from experiments.data.text import tokens
from experiments.data.text.text_data import TextData, is_blank
from experiments.errors import UserError, unknown
from experiments.spec import TextSpec

log = logging.getLogger(__name__)
OUTSIDE = "O"  # the label of a word that belongs to nothing
ENTITY_MARKS = (
    "B-",
    "I-",
    "E-",
    "S-",
)  # before the type of an entity: at its begin, in it, at its end, and of a single word
ANY_OTHER = "*"


class Sentences(NamedTuple):
    """Labelled words of one file or split.

    Attributes:
        words: of each sentence.
        tags: a label for each of them.
        places: `file:line` of each sentence's first word, for messages.
    """

    words: list[list[str]]
    tags: list[list[str]]
    places: list[str]

    def take(self, members: np.ndarray) -> Sentences:
        """Return some of them."""
        return Sentences(*([column[member] for member in members.tolist()] for column in self))  # type: ignore[arg-type]


class WordData(TextData):
    """Base of the labelled words: a subclass says how to `read_sentences`.

    Args:
        rename: other names of labels, or of the types of entities that these tell, B-PERSON of PERSON; `*` stands for all that
            are not named here at all, and O for no entity. None: the labels stay.
        rest: the keys of `TextData`; `limit` counts sentences, and `empty` says what happens to a sentence whose words
            hold nothing to read.

    Raises:
        UserError: a file is missing or damaged, a word has no label, or a label is none of the training split.
    """

    name = "words"

    def __init__(self, *, rename: Mapping[str, str] | None = None, **rest: Any) -> None:
        super().__init__(**rest)
        self.rename = {str(before): str(now) for before, now in (rename or {}).items()}

    def read_sentences(self) -> dict[str, Sentences]:
        """Return the splits: `train`, and `validation` and `test` where the dataset has them."""
        raise NotImplementedError

    def load(self) -> None:
        whole = renamed(self.read_sentences(), self.rename)
        origin = {split: (split, np.arange(len(part.words))) for split, part in whole.items()}
        for split, (_, members) in origin.items():
            if not len(members):
                raise UserError(f"{self.name}: the {split} split has no sentence: name a file with labelled words")
        train = origin["train"][1]
        for split, amount in self.amounts.items():
            if split not in origin and amount is not None:
                rest, held = hold_out(np.zeros(len(train)), amount, self.split_seed, f"data.{split}")
                train, origin[split] = train[rest], ("train", train[held])
        if self.limit is not None:
            train = train[keep(np.zeros(len(train)), self.limit, self.split_seed)]
        origin["train"] = ("train", train)
        by_split = {split: whole[origin[split][0]].take(origin[split][1]) for split in SPLITS}
        classes = _classes(whole)
        numbers = {name: number for number, name in enumerate(classes)}
        self.texts = {}
        if self._tokenizer is None and not self.file.is_file() and not self.source:
            self._tokenizer = tokens.fit(self.rule, [" ".join(words) for words in by_split["train"].words])
        tokens.require_room(self.tokenizer, self.max_length)
        cut = 0
        for split, sentences in by_split.items():
            rows, firsts, longer = self._encode_words(sentences.words, sentences.places)
            cut += longer
            targets = []
            for row, first, tags in zip(rows, firsts, sentences.tags, strict=True):
                target = np.full(len(row), IGNORED, np.int64)
                target[first] = [numbers[tag] for tag in tags[: len(first)]]
                targets.append(target)
            self.sets[split] = Store.of(rows, targets, every_step=True)
        marks, hides = tokens.marks(self.tokenizer), tokens.mask(self.tokenizer)
        lengths = self.sets["train"].lengths
        self.spec = TextSpec(
            vocabulary=self.tokenizer.get_vocab_size(),
            length=int(np.median(lengths)),
            longest=max(int(store.lengths.max()) for store in self.sets.values()),
            classes=classes,
            mask=hides,
            special=tuple(sorted({*marks, *(() if hides is None else (hides,))} - {-1})),
            marks=marks if tokens.frames(self.tokenizer) else (),
        )
        self.splits = {split: len(self.sets[split].lengths) for split in SPLITS}
        self.splits["fingerprint"] = fingerprint(
            (f"{split} of {origin[split][0]}", origin[split][1]) for split in SPLITS
        )
        self.splits |= {"words": sum(map(len, by_split["train"].words)), "cut": cut}
        self.splits["unknown"] = round(float(np.mean(self.sets["test"].values == marks[1])), 4)  # share of test tokens
        tokens.warn_of_unknown(self.name, self.splits["unknown"])
        if cut:
            log.warning("%s: sentences of more than %d tokens were cut: %d.", self.name, self.max_length, cut)

    def renaming(self, labels: Sequence[str]) -> str:
        """Return the key that gives the labels the names of others, where they differ in capitals alone; else nothing."""
        theirs = {type_of(label).casefold(): type_of(label) for label in labels if label != OUTSIDE}
        ours = dict.fromkeys(type_of(label) for label in self.spec.classes if label != OUTSIDE)
        pairs = [f"{name}: {theirs[name.casefold()]}" for name in ours if name.casefold() in theirs]
        return f"data.rename={{{', '.join([*pairs, '*: O'])}}}" if pairs else ""

    def prepare(self, texts: Sequence[Any]) -> Words:  # type: ignore[override]
        """Return new sentences as the model would get them; each a text, cut into words as the tokenizer does, or its
        words.

        Raises:
            UserError: when one has no word.
        """
        sentences = [self._words(text) if isinstance(text, str) else list(text) for text in texts]
        for number, words in enumerate(sentences, 1):
            if not words or is_blank(" ".join(words)):
                raise UserError(f"text {number} is empty: give a text with a word in it")
        places = [f"text {number}" for number in range(1, len(sentences) + 1)]
        rows, firsts, shortened = self._encode_words(sentences, places)
        if shortened:
            log.warning("sentences of more than %d tokens were cut: %d.", self.max_length, shortened)
        padded = pad(rows)
        kept = [words[: len(first)] for words, first in zip(sentences, firsts, strict=True)]
        return Words(padded.values, padded.lengths, firsts, kept)

    def _words(self, text: str) -> list[str]:
        """Return the words of a text: what stands between blanks, with punctuation marks apart."""
        from tokenizers.pre_tokenizers import BertPreTokenizer

        return [word for word, _ in BertPreTokenizer().pre_tokenize_str(text)]

    def _encode_words(
        self, sentences: Sequence[list[str]], places: Sequence[str]
    ) -> tuple[list[list[int]], list[list[int]], int]:
        """Rows of tokens; where in them each word's first one stands; and how many sentences were cut."""
        tokenizer, unknown = self.tokenizer, tokens.marks(self.tokenizer)[1]
        tokenizer.encode_special_tokens = True
        rows, firsts, cut = [], [], 0
        for encoding, words, place in zip(
            tokenizer.encode_batch([list(words) for words in sentences], is_pretokenized=True),
            sentences,
            places,
            strict=True,
        ):
            ids, owners = list(encoding.ids), list(encoding.word_ids)
            missing = [number for number in range(len(words)) if number not in set(owners)]
            if len(missing) == len(words):
                raise UserError(f"{place}: nothing of the sentence is a token: mend or remove it")
            for number in missing:  # such as a sign that the tokenizer takes away
                behind = next((at for at, owner in enumerate(owners) if owner is not None and owner > number), None)
                at = _end(owners) if behind is None else behind
                ids.insert(at, unknown)
                owners.insert(at, number)
            if self.max_length is not None and len(ids) > self.max_length:
                cut += 1
                end = ids[_end(owners) :]  # what stands behind a sentence stays
                ids = [*ids[: self.max_length - len(end)], *end]
                owners = [*owners[: self.max_length - len(end)], *[None] * len(end)]
            rows.append(ids)
            firsts.append([owners.index(number) for number in range(len(words)) if number in owners])
        return rows, firsts, cut


def renamed(by_split: dict[str, Sentences], names: Mapping[str, str]) -> dict[str, Sentences]:
    """Return sentences with other names of their labels, see `WordData`.

    Raises:
        UserError: when a name is none of the labels nor of their types.
    """
    if not names:
        return by_split
    labels = sorted({tag for sentences in by_split.values() for tags in sentences.tags for tag in tags} - {OUTSIDE})
    now = {OUTSIDE: OUTSIDE} | {label: _name(label, names) for label in labels}
    there = {*labels, *map(type_of, labels), ANY_OTHER}
    for name in names:
        if name not in there:
            raise UserError(unknown(f"data.rename: {name}", "no label of the data", name, sorted(there - {ANY_OTHER})))
    return {
        split: sentences._replace(tags=[[now[tag] for tag in tags] for tags in sentences.tags])
        for split, sentences in by_split.items()
    }


def type_of(label: str) -> str:
    """Return the type of the entity that a label is a part of, PERSON of B-PERSON; any other label as it is."""
    return label[2:] if label[:2] in ENTITY_MARKS else label


def _name(label: str, names: Mapping[str, str]) -> str:
    if label in names:
        return names[label]
    kind = type_of(label)
    if {label, kind} & set(names.values()):
        return label
    name = names.get(kind, names.get(ANY_OTHER, kind))
    return name if name == OUTSIDE or kind == label else f"{label[:2]}{name}"


def _end(owners: Sequence[int | None]) -> int:
    """Where the last word's tokens end."""
    return max(at for at, owner in enumerate(owners) if owner is not None) + 1


def _classes(by_split: dict[str, Sentences]) -> tuple[str, ...]:
    """Return the labels of the training split, what belongs to nothing first.

    Raises:
        UserError: when another split has a label that it does not.
    """
    tags_of_training = {tag for tags in by_split["train"].tags for tag in tags}
    for sentences in by_split.values():
        for tags, place in zip(sentences.tags, sentences.places, strict=True):
            for tag in tags:
                if tag not in tags_of_training:
                    raise UserError(
                        f"{place}: label {tag} is none of the training split ({', '.join(sorted(tags_of_training)[:10])}): mend the "
                        "file, or train on one that has it"
                    )
    return tuple(sorted(tags_of_training, key=lambda tag: (tag != OUTSIDE, tag)))
